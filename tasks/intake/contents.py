"""Whether the files of a folder hold still: the same content in two reads, some time apart.

A copy may reserve its full size at once: name, size and time then stand still while bytes come,
and only the content tells. A file that came with a checksum is read once, if that is right.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import FileError
from tasks.files.checksums import Sum, differing
from tasks.files.mounts import MOUNTS
from tasks.files.ndrive import Listing
from tasks.files.pairing import STILL, Entry
from tasks.files.readings import Content, read_all
from tasks.files.sidecars import SidecarContent, is_sidecar, lacking, lists_in, sums_of

SMALL = 8_000_000
"""Bytes of a file that is read at once; a larger one only when it was as large at the last look."""

BATCH, BATCH_FILES = 64_000_000, 200
"""Bytes, and files, after which others who wait for the same workstation's folder have a turn."""

LARGE = 1_000_000_000
"""Bytes whose reading is worth a line in the log."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContentReading:
    """A content; when it was first and last read so, in seconds of the watch's clock.

    `content` is why it could not be read, where it could not. `changed`: it was another one
    before, under the same size and time.
    """

    content: Content | FileError
    since: float
    last: float
    changed: bool = False

    def again(self, content: Content | FileError, begun: float, ended: float) -> "ContentReading":
        """It was read once more, between two moments."""
        if isinstance(content, FileError) or isinstance(self.content, FileError):
            same = type(content) is type(self.content)
            return ContentReading(content, self.since if same else ended, begun if same else ended)
        if content.crc32 == self.content.crc32:
            return ContentReading(content, self.since, begun, self.changed)
        return ContentReading(content, ended, ended, changed=True)


class Contents:
    """What was read of one folder. In memory only: a restart reads again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._readings: dict[Entry, ContentReading | None] = {}
        """None of a file that was seen only."""
        self._sums: dict[Entry, tuple[Sum, ...]] = {}
        self._seen_before: frozenset[Entry] = frozenset()

    def see(self, listing: Listing) -> None:
        """A look at the folder: what is no longer as it was is forgotten."""
        self._seen_before = frozenset(self._readings)
        self._readings = {each: self._readings.get(each) for each in _files(listing)}
        self._find_sums(listing)

    def is_due(self, listing: Listing, now: float, *, still: bool) -> bool:
        """Whether a file is to be read now. `still`: the folder's names, sizes, times are."""
        return any(True for _ in self._due(_files(listing), now, still=still))

    async def read(self, listing: Listing, clock: Callable[[], float], *, still: bool) -> None:
        """Read what is due, the checksums first. Raises SourceVanished or NotAnswering."""
        every = _files(listing)
        sidecars = [each for each in every if is_sidecar(each.name)]
        for some in (sidecars, every):
            due = list(self._due(some, clock(), still=still))
            size = sum(each.size_bytes for each in due)
            if size > LARGE:
                log.info("%s: reading %d files, %.1f GB", listing.folder, len(due), size / LARGE)
            for batch in _batches(due):
                await self._read(listing, batch, clock)
            if size > LARGE:
                log.info("%s: %d files are read", listing.folder, len(due))
            self._find_sums(listing)

    def are_proven(self, listing: Listing) -> bool:
        """Whether nothing of the folder is still being written, as far as reading can tell.

        What cannot be read, or differs from its checksum, counts as such once it was so for long.
        """
        return all(self._is_proven(each) for each in _files(listing))

    def lacking(self, listing: Listing) -> dict[str, str]:
        """Files that checksums name and that are not there: name, and who says it."""
        return lacking(listing, self._checksums_in(_files(listing)))

    def still_written(self) -> list[str]:
        """Names of files whose content changed and is not proven since."""
        changed = [each for each, found in self._readings.items() if found and found.changed]
        return [each.name for each in changed if not self._is_proven(each)]

    def differing(self) -> dict[str, str]:
        """How files differ from the checksums that came with them, by name."""
        read = [(each, found) for each, found in self._readings.items() if found]
        wrong = {each.name: _wrong(found, self._sums.get(each, ())) for each, found in read}
        return {name: why for name, why in wrong.items() if why}

    def _checksums_in(self, entries: Iterable[Entry]) -> list[SidecarContent]:
        """The files of checksums among some files, as they were read last."""
        readings = (self._readings.get(each) for each in entries)
        contents = (each.content for each in readings if each is not None)
        return [each.sidecar for each in contents if isinstance(each, Content) and each.sidecar]

    def _find_sums(self, listing: Listing) -> None:
        """Find the sums of each file in what was read of the files of checksums."""
        lists = self._checksums_in(lists_in(listing))
        self._sums = {}
        for pair in listing.items.values():
            sums = sums_of(pair, [*self._checksums_in(pair.extras), *lists])
            self._sums |= {each: sums[each.name] for each in pair.files if each.name in sums}

    def _due(self, files: Sequence[Entry], now: float, *, still: bool) -> Iterator[Entry]:
        for each in files:
            found, sums = self._readings.get(each), self._sums.get(each, ())
            if found is None or not _is_made(found, sums):
                if each.size_bytes < SMALL or each in self._seen_before:
                    yield each
            elif still and not self._is_proven(each):
                # What differs from its checksum is read ever less often.
                pause = max(self._seconds, found.last - found.since)
                if now - found.last >= pause or now - found.since >= self._wanted(found, sums):
                    yield each

    def _is_proven(self, entry: Entry) -> bool:
        found = self._readings.get(entry)
        if found is None:
            return False
        return found.last - found.since >= self._wanted(found, self._sums.get(entry, ()))

    def _wanted(self, found: ContentReading, sums: Sequence[Sum]) -> float:
        """Seconds for which a file must have read the same."""
        if isinstance(found.content, FileError) or _wrong(found, sums):
            return STILL * self._seconds
        return 0 if sums and _is_made(found, sums) else self._seconds

    async def _read(
        self, listing: Listing, batch: Sequence[Entry], clock: Callable[[], float]
    ) -> None:
        begun = clock()
        wanted = {each: {sum.algorithm for sum in self._sums.get(each, ())} for each in batch}
        contents = await MOUNTS.run(listing.folder.parent, read_all, wanted)
        ended = clock()
        for entry, content in contents.items():
            before = self._readings.get(entry)
            first = ContentReading(content, ended, ended)
            self._readings[entry] = before.again(content, begun, ended) if before else first


def _files(listing: Listing) -> list[Entry]:
    """The files of all specimens, and the lists of checksums beside them."""
    return [*listing.files, *lists_in(listing)]


def _is_made(found: ContentReading, sums: Iterable[Sum]) -> bool:
    """Whether the reading made all the sums that are to be compared."""
    made: Mapping[str, str] = found.content.sums if isinstance(found.content, Content) else {}
    return isinstance(found.content, FileError) or all(each.algorithm in made for each in sums)


def _wrong(found: ContentReading, sums: Sequence[Sum]) -> str | None:
    if isinstance(found.content, FileError) or not _is_made(found, sums):
        return None
    return differing(sums, found.content.sums)


def _batches(files: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for each in files:
        batch.append(each)
        size += each.size_bytes
        if size >= BATCH or len(batch) >= BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
