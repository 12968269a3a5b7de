"""People who are told of alarms: a mail server and a web hook that keep what they are sent."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.serving import free_port

POLL_S = 0.05
SOON_S = 60.0


@dataclass
class People:
    """What reached them, in order, and the Apprise addresses at which they are reached."""

    urls: list[str]
    mails: list[EmailMessage] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)

    def mailed(self, words: str = "") -> list[str]:
        """What the mails about something tell, up to its time; several of one mail in order."""
        found = [each for mail in self.mails for each in _told(str(mail["subject"]))]
        return [each for each in found if words in each]

    def posted(self, words: str = "") -> list[str]:
        """The same of what the web hook was sent."""
        found = [each for post in self.posts for each in _told(str(post["title"]))]
        return [each for each in found if words in each]

    def mail_of(self, headline: str) -> str:
        """The text of the first mail that tells this."""
        subjects = [_told(str(mail["subject"])) for mail in self.mails]
        return self.read(next(n for n, told in enumerate(subjects) if headline in told))

    def until(self, true: Callable[[], bool], seconds: float = SOON_S) -> None:
        """Wait until it is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"told: {self.mailed()}, {self.posted()}"
            time.sleep(POLL_S)

    def read(self, n: int, kind: str = "plain") -> str:
        """The text of a mail, `plain` or `html`."""
        part = self.mails[n].get_body((kind,))
        assert part is not None
        return str(part.get_content())


def _told(subject: str) -> list[str]:
    several = re.fullmatch(r"\d+ alarms: (.*)", subject)
    return several[1].split("; ") if several else [subject.partition(" (")[0]]


class _Mailbox:
    def __init__(self, people: People) -> None:
        self._people = people

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self._people.mails.append(mail)  # type: ignore[arg-type]
        return "250 taken"


@contextmanager
def people(hook_port: int = 0, refused: str = "") -> Iterator[People]:
    """A real SMTP server and a real HTTP server, until the block ends; the web hook does not take
    what is about `refused`."""
    mail_port = free_port()
    found = People([f"mailto://127.0.0.1:{mail_port}?from=refinery@nhm.dk&to=keeper@nhm.dk"])

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken = not refused or refused not in body.decode()
            if taken:
                found.posts.append(json.loads(body))
            self.send_response(204 if taken else 400)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    mail = Controller(_Mailbox(found), hostname="127.0.0.1", port=mail_port)
    mail.start()
    hook = ThreadingHTTPServer(("127.0.0.1", hook_port), Hook)
    found.urls.append(f"json://127.0.0.1:{hook.server_address[1]}/hook")
    serving = threading.Thread(target=hook.serve_forever)
    serving.start()
    try:
        yield found
    finally:
        hook.shutdown()
        serving.join()
        hook.server_close()
        mail.stop()
