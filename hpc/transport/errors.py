"""What can go wrong over SSH, by whether the command may have run.

The class docstring is what an operator does about it.
"""

from dataclasses import dataclass

from schemas.backoff import Backoff


@dataclass(frozen=True)
class LoginBackoff(Backoff):
    """The pauses until a host that failed us is tried again; `even` ones are not drawn at
    random below their length."""

    first_s: float = 1.0
    longest_s: float = 300.0
    even: bool = False


class WireError(Exception):
    """A command could not be run to its end. `begun` says whether it may have been.

    `needs_operator`: only a person can mend it; `pauses`: how soon we connect again.
    """

    begun = False
    needs_operator = False
    pauses = LoginBackoff()


class HostUnreachable(WireError):
    """Nobody answers: see whether the host is up, and whether a firewall lets us through."""


class JumpDown(HostUnreachable):
    """The jump host answers not, or lets us no further: look there first."""


class HungUp(HostUnreachable):
    """The host ends the connection before we are logged in: what it said, if anything, is the
    cause. Else too many log in at once (MaxStartups), or our address is banned there."""

    pauses = LoginBackoff(longest_s=3600.0)


class WrongHostKey(WireError):
    """It is none of the hosts we pinned: ask its administrators before the block is changed."""

    needs_operator = True
    pauses = LoginBackoff(300.0, 3600.0, even=True)


class KeyRefused(WireError):
    """Our key is not accepted: is its public half in authorized_keys of that user?"""

    needs_operator = True
    pauses = LoginBackoff(300.0, 3600.0, even=True)


class SecondFactor(WireError):
    """Nobody is here to type a second factor: ask the cluster for a key that needs none; many
    allow it for a service, from one address."""

    needs_operator = True
    pauses = LoginBackoff(6 * 3600.0, 6 * 3600.0, even=True)


class BadAddress(WireError):
    """The block itself cannot be used: its key or host key cannot be read."""

    needs_operator = True
    pauses = LoginBackoff(300.0, 300.0, even=True)


class NotBegun(WireError):
    """The host takes no further session just now; the command was not run."""


class CircuitOpen(WireError):
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
