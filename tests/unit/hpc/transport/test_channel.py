"""What a command's channel makes of paramiko's errors."""

from typing import Any, cast

import pytest
from paramiko.ssh_exception import ChannelException, SSHException

from hpc.transport.channel import ChannelCall, Counts
from hpc.transport.connect import SshConnection
from hpc.transport.errors import DeadlinePassed, LinkLost, NotBegun, WireError


class Refusing:
    """A transport that counts as active and opens no session, with this error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def is_active(self) -> bool:
        return True

    def open_session(self, timeout: float) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EOFError(), LinkLost),  # nothing could be written, which its own thread has yet to see
        (ChannelException(1, "Administratively prohibited"), NotBegun),
        (SSHException("Unable to open channel."), NotBegun),
        (SSHException("Timeout opening channel."), DeadlinePassed),
    ],
)
def test_why_no_session_was_opened_is_told_apart(error: Exception, kind: type[WireError]) -> None:
    connection = SshConnection(1, cast(Any, Refusing(error)), cast(Any, None))
    with pytest.raises(kind) as raised:
        ChannelCall(connection, Counts(), 5.0).run("true", b"", None)
    assert raised.value.begun is False
    assert not str(raised.value).endswith(": ")
