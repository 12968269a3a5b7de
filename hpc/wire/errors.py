"""What can go wrong on the wire, told apart by what is known of the command.

The class docstring is what an operator does about it.
"""


class WireError(Exception):
    """A command could not be run to its end. `begun` says whether it may have been."""

    begun = False


class Unreachable(WireError):
    """Nobody answers: see whether the host is up, and whether a firewall lets us through."""


class JumpDown(Unreachable):
    """The jump host answers not, or lets us no further: look there first."""


class WrongHostKey(WireError):
    """It is not the host we pinned: ask its administrators before the block is changed."""


class KeyRefused(WireError):
    """Our key is not accepted: is its public half in authorized_keys of that user?"""


class BadAddress(WireError):
    """The block itself cannot be used: its key or host key cannot be read."""


class NotBegun(WireError):
    """The host takes no further session just now; the command was not run."""


class Paused(WireError):
    """The host failed us often; we leave it alone for a while."""


class LinkLost(WireError):
    """The connection broke under the command: whether it ran is not known."""

    begun = True


class DeadlinePassed(WireError):
    """No answer in time: whether the command ran is not known."""

    begun = True


class TooMuch(WireError):
    """The command printed more than is reasonable; what it did is done."""

    begun = True
