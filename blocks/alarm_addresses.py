"""The Prefect block through which people are told of alarms: any number of Apprise addresses.

Prefect's server runs it when an automation fires (`refinery/local/prefect_server.py` makes it known
there). Whoever does not take a message is sent it again beside, so that nothing waits for that.
"""

import asyncio
import logging
from collections.abc import Sequence

from prefect.blocks.abstract import NotificationBlock, NotificationError
from pydantic import Field, SecretStr, field_validator

from blocks.alarm_delivery import deliver, faulty, split

log = logging.getLogger(__name__)

PAUSES_S = (60.0, 600.0, 3600.0)
"""After so long each it is sent again to who did not take it: a mail server may be away too."""

_sending_again: set[asyncio.Task[None]] = set()


class AlarmAddresses(NotificationBlock):
    """Who is told of alarms: addresses of mail, Slack, Teams and others, as Apprise writes them."""

    _block_type_name = "Alarm addresses"
    _block_type_slug = "alarm-addresses"
    _description = "Who is told of the refinery's alarms."

    urls: SecretStr = Field(description="Addresses as Apprise writes them, one on each line.")

    @field_validator("urls")
    @classmethod
    def _known(cls, urls: SecretStr) -> SecretStr:
        if fault := faulty(split(urls.get_secret_value())):
            raise ValueError(fault)
        return urls

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Send a message to every address; to who does not take it, again, while others wait for
        nothing. Raises NotificationError where Prefect wants to show that."""
        found = await deliver(split(self.urls.get_secret_value()), subject or "", body)
        if failed := [each for each in found if not each.taken]:
            task = asyncio.create_task(send_again([each.url for each in failed], subject, body))
            _sending_again.add(task)
            task.add_done_callback(_sending_again.discard)
            if self._raise_on_failure:
                raise NotificationError(
                    "\n".join(f"{each.shown}: {each.answer}" for each in failed)
                )


async def send_again(urls: Sequence[str], subject: str | None, body: str) -> None:
    """Send a message to those who did not take it, until they do or it was tried often enough."""
    for pause_s in PAUSES_S:
        await asyncio.sleep(pause_s)
        found = await deliver(urls, subject or "", body)
        urls = [each.url for each in found if not each.taken]
        if not urls:
            return
    for each in found:
        log.error("%s never took the message %r: %s", each.shown, subject, each.answer)
