"""The format that each metadata file names, so that a preview is not taken for the master.

Read once for each name, size and time: a folder may hold thousands, and is looked at every few
seconds.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from schemas.metadata.document import MetadataError, read_document
from tasks.errors import FileError
from tasks.files.copies import whole
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import Listing
from tasks.files.pairing import Entry, Pair


class NamedFormats:
    """A memory of what was read, by folder."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[Entry, str]] = {}

    async def complete(self, listing: Listing) -> Listing:
        """The listing with `named` of every pair. Raises a FileError that may pass by itself."""
        return await MOUNTS.run(listing.folder.parent, self.read, listing)

    def keep(self, folders: Iterable[Path]) -> None:
        """Forget the folders that are no longer there."""
        there = set(folders)
        self._known = {path: known for path, known in self._known.items() if path in there}

    def read(self, pulse: Pulse, listing: Listing) -> Listing:
        """`complete`, for who is in a thread already."""
        before, known = self._known.get(listing.folder, {}), dict[Entry, str]()
        items: dict[str, Pair] = {}
        for base, pair in listing.items.items():
            if pair.json is not None:
                pulse.beat()
                found = before.get(pair.json)
                known[pair.json] = _named_in(pulse, pair.json) if found is None else found
                pair = replace(pair, named=known[pair.json])
            items[base] = pair
        self._known[listing.folder] = known
        return replace(listing, items=items)


def _named_in(pulse: Pulse, entry: Entry) -> str:
    """The format; `""` where it names none or cannot be read, which ingest will say."""
    try:
        return read_document(whole(pulse, entry.path)).metadata.file_format or ""
    except MetadataError:
        return ""
    except FileError as error:
        if error.may_retry:
            raise
        return ""
