"""What the watch remembers of one folder, and from when on the folder may be taken."""

from dataclasses import replace

from schemas.metadata.document import MetadataError, read_document
from tasks.errors import FileError
from tasks.files.copies import document_content
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import Listing
from tasks.files.pairing import STILL, Entry, Pair
from tasks.intake.contents import Contents


class WatchedFolder:
    """One folder's memory, lost when the watch ends: a restart waits and reads again.

    `taken` and `unknown` are hashes of listings: the one that was taken last, and the one that
    the database had not seen.
    """

    def __init__(self, seconds: float) -> None:
        self.contents = Contents(seconds)
        self.taken = ""
        self.unknown = ""
        self._seconds = seconds
        self._seen: tuple[Listing, float] | None = None
        self._formats: dict[Entry, str] = {}

    def is_complete(self, listing: Listing, now: float, *, lacking: bool = False) -> bool:
        """Whether the folder may be taken; `now` in seconds of any clock that never goes back.

        `lacking`: a file is known to be still to come.
        """
        if self._seen is None or self._seen[0] != listing:
            self._seen = listing, now
        if not listing.items:
            return False
        partial = bool(listing.unpaired or listing.unfinished or lacking)
        wanted = self._seconds * (STILL if partial else 1)
        return listing.marked or now - self._seen[1] >= wanted

    async def with_formats(self, listing: Listing) -> Listing:
        """The listing with the format that each metadata file names, so that no preview is taken
        for the master. Raises a FileError that may pass by itself."""
        return await MOUNTS.run(listing.folder.parent, self._read_formats, listing)

    def _read_formats(self, pulse: Pulse, listing: Listing) -> Listing:
        """Read each metadata file once for each name, size and time: there may be thousands."""
        formats: dict[Entry, str] = {}
        items: dict[str, Pair] = {}
        for base, pair in listing.items.items():
            if pair.json is not None:
                pulse.beat()
                known = self._formats.get(pair.json)
                formats[pair.json] = _format_in(pulse, pair.json) if known is None else known
                pair = replace(pair, named=formats[pair.json])
            items[base] = pair
        self._formats = formats
        return replace(listing, items=items)


def _format_in(pulse: Pulse, entry: Entry) -> str:
    """The format; `""` where it names none or cannot be read, which ingest will say."""
    try:
        return read_document(document_content(pulse, entry.path)).metadata.file_format or ""
    except MetadataError:
        return ""
    except FileError as error:
        if error.may_retry:
            raise
        return ""
