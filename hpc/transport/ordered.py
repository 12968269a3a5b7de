"""paramiko's transport, but nothing is sent for a channel after its close."""

import threading

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.message import Message

LATE = {MSG_CHANNEL_WINDOW_ADJUST, MSG_CHANNEL_DATA, MSG_CHANNEL_EOF, MSG_CHANNEL_REQUEST}
"""What may be overtaken by a close; the close itself is none."""


class OrderedTransport(paramiko.Transport):
    """A transport of which each thread says for which channel it sends.

    paramiko makes a message under its channel's lock and sends it without: meanwhile its own
    thread may answer the close of a command that has ended. OpenSSH takes what comes for a
    channel after that (RFC 4254, 5.3) for a fault of the whole connection, and ends it with all
    that runs in it; or it is for the next command's channel, which was given the same number.
    """

    def __init__(self, *args: object, **options: object) -> None:
        self._sends_for = threading.local()
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def send_for(self, channel: paramiko.Channel | None) -> None:
        """From now on this thread sends for that channel, or for none."""
        self._sends_for.channel = channel

    def _send_message(self, data: Message) -> None:
        # Under paramiko's lock of the wire. A close is sent only after its channel counts as
        # closed: none has gone out while this one does not.
        channel: paramiko.Channel | None = getattr(self._sends_for, "channel", None)
        if channel is not None and channel.closed and data.asbytes()[0] in LATE:
            return
        super()._send_message(data)  # type: ignore[misc]
