"""When a folder may be taken: how long it has lain unchanged, and whether something is missing."""

from collections.abc import Iterable
from pathlib import Path

from tasks.files.ndrive import Listing
from tasks.files.pairing import STILL


class Settling:
    """How long each folder has lain unchanged. In memory only: a restart waits again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Path, tuple[Listing, float]] = {}

    def is_complete(self, listing: Listing, now: float, *, lacking: bool = False) -> bool:
        """Whether the folder may be taken; `now` in seconds of any clock that never goes back.

        `lacking`: something else says that a file is still to come.
        """
        known = self._since.get(listing.folder)
        if known is None or known[0] != listing:
            self._since[listing.folder] = known = (listing, now)
        if not listing.items:
            return False
        partial = bool(listing.unpaired or listing.unfinished or lacking)
        wanted = self._seconds * (STILL if partial else 1)
        return listing.marked or now - known[1] >= wanted

    def keep(self, folders: Iterable[Path]) -> None:
        """Forget the folders that are no longer there."""
        there = set(folders)
        self._since = {path: seen for path, seen in self._since.items() if path in there}
