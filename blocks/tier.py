"""What an archive, or another store of copies, must be able to do, and what can go wrong there.

The stages know this alone. Another store is a new class, and a line in
`tasks.archive.configured`. All that may go wrong there is translated into the errors below,
once, where the call is made.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from schemas.metadata.document import Metadata

Guard = Callable[[], AbstractAsyncContextManager[None]]
"""Held around each call that changes the tier; raises to forbid the call, or to cut it off."""


class TierError(Exception):
    """The tier did not do what it was asked; the message says why and what to do.

    `retry_after`: seconds to wait before the same effect may be asked for again, or None
    when asking again cannot help. Each kind has its own.
    """

    retry_after: float | None = None

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        if seconds is not None:
            self.retry_after = seconds


class TierRefused(TierError):
    """It refuses, and will refuse again: a person or the data has to change."""


class NoShare(TierRefused):
    """There is no share to make durable, and durable copies are lacking."""


class TierBusy(TierError):
    """Nothing was done; the same call may succeed later."""

    retry_after = 60.0


class TierUnknown(TierError):
    """The call may have been done, or may still be under way: probe before asking again."""

    retry_after = 60.0


class TierUnauthorised(TierError):
    """Our client id or secret is not accepted: correct the block that holds them.

    It may be asked again, since one wrong secret must not fail every specimen for good.
    """

    retry_after = 300.0


class TierCorrupted(TierError):
    """The bytes that arrived have another checksum than the bytes that were sent."""

    retry_after = 5.0


class SourceLost(TierError):
    """The local file is missing or no longer what it was when checked: ingest it again."""


class NoTier(ValueError):
    """No tier is set up."""


class Facts(Protocol):
    """What identifies a file's content: its name in the asset, CRC-32 and size in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def crc32(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True)
class LocalFile:
    """A checked file of ours: `name` is what it is called in the asset."""

    path: Path
    name: str
    crc32: int
    size_bytes: int
    mime: str


@dataclass(frozen=True)
class Created:
    """An asset the tier knows. `new` = by this very call; False = it was there already."""

    new: bool
    share_open: bool


class Outcome(StrEnum):
    """Where the way to durable copies stands."""

    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"
    SHARE_OPEN = "share still open"
    MISSING = "missing files"


@dataclass(frozen=True)
class Verdict:
    """An outcome, why, the files no durable copy is seen of, and whether a share is open."""

    outcome: Outcome
    reason: str
    missing: tuple[str, ...] = ()
    share_open: bool = False

    @property
    def done(self) -> bool:
        return self.outcome is Outcome.DONE


class Tier(Protocol):
    """A store of assets' copies. An asset has a share while its files are worked on.

    Each effect looks, then acts: a caller that was killed anywhere in it calls it again, with
    the same arguments or newer ones, and what was done already is not done twice. Each raises
    TierRefused, TierBusy, TierUnknown and TierUnauthorised; what else or when, it says itself.
    Rooms are in MB of 10^6 bytes.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def durable_name(self) -> str:
        """What people call the place of its durable copies; in small letters, their kind."""

    @property
    def describing(self) -> AbstractAsyncContextManager[object]:
        """Held by whoever describes an asset, so that only a few do at a time."""

    def missing(self, metadata: Metadata) -> list[str]:
        """Names of the fields that it needs to create an asset and that this lacks."""

    async def prepare(self, metadata: Metadata) -> None:
        """Have it know what the metadata names, which it must before the asset itself."""

    async def create(self, metadata: Metadata, room_mb: int) -> Created:
        """Have it know the asset, with a share open when it is new.

        After a kill it is not `new` any more, though nobody noted what was pushed: it is
        described again. TierRefused also for a guid that another place has.
        """

    async def open(self, metadata: Metadata, room_mb: int) -> None:
        """Have a share open with so much room at least, the durable files in it.

        TierBusy also while the asset is being made durable.
        """

    async def put(self, metadata: Metadata, files: Sequence[LocalFile]) -> tuple[str, ...]:
        """Have it list every file; the names of those it lacked, which were sent to its share.

        Opens a share, or enlarges it, when something is to be sent. A killed call leaves no
        file half there. Raises SourceLost, TierCorrupted; TierBusy as `open` does.
        """

    async def make_durable(self, metadata: Metadata, files: Sequence[Facts]) -> Verdict:
        """Have the share's files made durable and the share closed; what came of it in the end.

        Takes as long as that takes; a kill loses the waiting alone. Raises NoShare when there
        is none and a file may lack, TierRefused when it does not know the asset.
        """

    async def prove(self, guid: str, files: Sequence[Facts]) -> Verdict:
        """Ask, once, whether durable copies of just this content exist, and no share is open.

        Changes nothing. ValueError when no file is given: nothing proves nothing.
        """

    async def describe(self, metadata: Metadata, last_pushed: Metadata | None) -> None:
        """Have it hold what the metadata says, and know all that it names.

        With `last_pushed` only what differs from that is changed, also to nothing; without it
        what is empty changes nothing. The caller lets only one at a time describe an asset, and
        notes what was pushed only then: a killed call is made again with the same
        `last_pushed`. TierRefused when it does not know the asset.
        """

    async def differing(self, metadata: Metadata) -> tuple[str, ...]:
        """Its own names of the fields in which it does not hold what this says."""

    async def lock(self, guid: str) -> None:
        """Have the asset locked; only a person unlocks it."""

    async def close(self, guid: str, *, discard: bool = False) -> None:
        """Have no share open; with `discard` also one whose files are not all durable.

        TierRefused for such a one without it; TierBusy while the asset is being made durable:
        its share closes by itself then.
        """

    async def trouble(self) -> str | None:
        """What is wrong with its health, or None. Raises nothing."""


OpenTier = Callable[[Guard | None], AbstractAsyncContextManager[Tier]]
"""Makes the tier that is set up, for one event loop. Raises NoTier."""
