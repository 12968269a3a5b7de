"""The Prefect block through which people are told of alarms: any number of Apprise addresses.

Prefect's server runs it when an automation fires (`refinery/local/prefect_server.py` makes it known
there). Who does not take a message is sent it again beside (`blocks/alarm_queue.py`).
"""

import asyncio

from prefect.blocks.abstract import NotificationBlock, NotificationError
from pydantic import Field, SecretStr, field_validator

from blocks.alarm_delivery import faulty, split
from blocks.alarm_queue import queue_of


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
        urls = split(self.urls.get_secret_value())
        found = await asyncio.gather(*(queue_of(url).send(subject or "", body) for url in urls))
        failed = [f"{each.shown}: {each.answer}" for each in found if not each.taken]
        if failed and self._raise_on_failure:
            raise NotificationError("\n".join(failed))
