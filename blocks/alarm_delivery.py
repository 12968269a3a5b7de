"""Sending a message to people through Apprise, and what each address made of it.

What is sent is plain text; each address's service is given it in its own markup, escaped.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&])")
"""What means something in Markdown; a reason may be a file's name, of whatever characters."""

NEXT_ADDRESS = re.compile(r"[\s,]+(?=[a-zA-Z][a-zA-Z0-9]*://)")


@dataclass(frozen=True)
class Delivery:
    """What became of a message at one address, which is shown without its secrets."""

    url: str
    shown: str
    taken: bool
    answer: str


async def deliver(urls: Iterable[str], subject: str, body: str) -> list[Delivery]:
    """Send a message to every address at the same time, once; what each answered."""
    return list(await asyncio.gather(*(_deliver(each, subject, body) for each in urls)))


async def _deliver(url: str, subject: str, body: str) -> Delivery:
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

    sender = Apprise(
        asset=AppriseAsset(app_id="Specimen Refinery", app_desc="Specimen Refinery", app_url="")
    )
    sender.add(url)
    if not len(sender):
        return Delivery(url, url.partition(":")[0] + "://…", False, "Apprise knows no such address")
    service: Any = sender[0]
    shown = str(service.url(privacy=True)).partition("?")[0]
    if service.notify_format == NotifyFormat.MARKDOWN:
        subject, body = (MARKDOWN.sub(r"\\\1", each) for each in (subject, body))
    with AppriseLog() as apprise_log:
        taken = await asyncio.to_thread(
            sender.notify,
            body=body,
            title=subject,
            notify_type=NotifyType.INFO,
            body_format=NotifyFormat.TEXT,
        )
    return Delivery(url, shown, bool(taken), "taken" if taken else apprise_log.said())


_open: ContextVar["AppriseLog | None"] = ContextVar("apprise_log", default=None)


class AppriseLog(logging.Handler):
    """What Apprise logs of one delivery: it says nowhere else why a message was not taken.

    Others go on at the same time, each with a context of its own, which its thread has too.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of this delivery."""
        if _open.get() is self:
            self.lines.append(record.getMessage())

    def said(self) -> str:
        """The lines, as one."""
        return "; ".join(self.lines)[:500] or "not taken"

    def __enter__(self) -> "AppriseLog":
        _open.set(self)
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        logging.getLogger("apprise").removeHandler(self)


def split(text: str) -> list[str]:
    """Addresses out of a text, each begun by its scheme after a line's end, a space or a comma."""
    return [each for each in NEXT_ADDRESS.split(text.strip()) if each]


def faulty(urls: Sequence[str]) -> str | None:
    """Which addresses Apprise cannot send to, by their places: they hold secrets; None: none."""
    from apprise import Apprise

    bad = [n for n, url in enumerate(urls, 1) if Apprise.instantiate(url) is None]
    if not bad:
        return None
    places = ", ".join(map(str, bad))
    return (
        f"address {places} of {len(urls)} is none that Apprise can send to: write it as in "
        "mailtos://user:password@smtp.museum.dk?from=refinery@museum.dk&to=you@museum.dk"
    )
