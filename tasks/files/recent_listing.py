"""The folder as a dispatcher listed it last, so that each of thousands need not list it again.

Names come and go only with a new time of the folder itself; sizes and times of one specimen's
files are read anew whenever it is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.errors import named
from tasks.files.checksums import Sum
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import Listing, listed
from tasks.files.pairing import Entry, Pair
from tasks.files.sidecars import Sidecars, lists_in


@dataclass(frozen=True)
class SpecimenFiles:
    """The files of one specimen. `alike`: base names there that differ in case only.

    `sums`: the checksums that came with the files, by file name.
    """

    pair: Pair
    alike: tuple[str, ...] = ()
    sums: Mapping[str, tuple[Sum, ...]] = field(default_factory=dict)


class RecentListing:
    """The memory of one dispatcher, which is at one folder."""

    def __init__(self) -> None:
        self._last: tuple[int, Listing] | None = None
        self._sidecars = Sidecars()

    async def find(self, folder: Path, root: Path, base: str) -> SpecimenFiles:
        """What lies there under a base name. Raises a FileError, NotAnswering too."""
        return await MOUNTS.run(folder.parent, self._find, folder, root, base)

    def _find(self, pulse: Pulse, folder: Path, root: Path, base: str) -> SpecimenFiles:
        if (again := self._again(folder, base)) is not None:
            return self._with_sums(pulse, *again)
        try:
            changed = folder.stat().st_mtime_ns  # before the listing: what comes meanwhile is seen
        except OSError as error:
            raise named(error, folder, reading=True) from error
        listing = listed(pulse, folder, root)
        self._last = changed, listing
        alike = (each for each in listing.items if each.lower() == base.lower())
        pair = listing.items.get(base, Pair())
        found = self._with_sums(pulse, pair, lists_in(listing))
        return replace(found, alike=tuple(each for each in alike if each != base))

    def _with_sums(self, pulse: Pulse, pair: Pair, lists: tuple[Entry, ...]) -> SpecimenFiles:
        return SpecimenFiles(pair, sums=self._sidecars.of(pulse, pair, lists))

    def _again(self, folder: Path, base: str) -> tuple[Pair, tuple[Entry, ...]] | None:
        """The specimen's files and the lists of checksums by the last listing.

        None where that may no longer hold.
        """
        if self._last is None or self._last[1].folder != folder:
            return None
        changed, listing = self._last
        pair = listing.items.get(base)
        try:
            if pair is None or not pair.is_complete or folder.stat().st_mtime_ns != changed:
                return None
            now = _as_now(pair)
            lists = tuple(_stat(each) for each in lists_in(listing))
            return None if now is None else (now, lists)
        except OSError:
            return None  # the listing says why


def _as_now(pair: Pair) -> Pair | None:
    """The same files with today's sizes and times; None when one of them is a link."""
    if any(each.path.is_symlink() for each in pair.files):
        return None
    now = {each: _stat(each) for each in pair.files}
    return replace(
        pair,
        json=now[pair.json] if pair.json else None,
        image=now[pair.image] if pair.image else None,
        extras=tuple(now[each] for each in pair.extras),
    )


def _stat(entry: Entry) -> Entry:
    state = entry.path.stat()
    return Entry(entry.path, state.st_size, state.st_mtime_ns)
