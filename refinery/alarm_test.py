"""A message to everybody who would be told of an alarm, and what each address answered."""

import asyncio
import socket

from blocks.alarm_delivery import Delivery, deliver
from refinery.settings import Settings, SettingsError

SUBJECT = "a test of the refinery's alarms"


def send_test(settings: Settings) -> list[Delivery]:
    """Send it to one address after the other; raises SettingsError when there is none."""
    if not settings.alarm_urls:
        raise SettingsError(
            "alarm_urls is not set, so nobody is told of alarms: set it to one address or more, "
            "such as mailtos://user:password@smtp.museum.dk?from=…&to=… (docs/alarms.md)."
        )
    return asyncio.run(_send([each.get_secret_value() for each in settings.alarm_urls]))


async def _send(urls: list[str]) -> list[Delivery]:
    body = f"Nothing is wrong: somebody asked for this on {socket.gethostname()}."
    return [each for url in urls for each in await deliver([url], SUBJECT, body)]
