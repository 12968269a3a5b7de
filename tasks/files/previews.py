"""Small copies of a specimen's picture, made once and kept when the picture itself is gone.

A preview for a page, a thumbnail for a list. They are made of the first copy that can be read: in
the store, then on the N-Drive. Whoever asks waits for a while only; what takes longer goes on and
is there the next time.
"""

import asyncio
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from schemas.image_formats import IMAGES, format_of_name
from tasks.errors import FileError
from tasks.files.shrinking import CannotShrink, shrink
from track.reports.picture import PictureSource

AT_ONCE = 2
"""Pictures made at a time: each may be a TIFF of 160 MB."""

MAX_WAITING = 200
"""Pictures that wait for their turn; more are not taken on, and are asked for again."""

PATIENCE_S = 20.0
"""How long somebody who asked waits for one."""


class PictureSize(StrEnum):
    """How large a kept picture is."""

    PREVIEW = "preview"
    THUMBNAIL = "thumbnail"


LONGEST_PX = {PictureSize.PREVIEW: 1600, PictureSize.THUMBNAIL: 320}
"""Of the longer side."""


class NoPicture(Exception):
    """There is none to show; the text says why. `passing`: there may be one soon."""

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


@dataclass
class Previews:
    """The kept pictures in `folder`, made of what lies below `store` and `drive`."""

    folder: Path
    store: Path
    drive: Path
    patience_s: float = PATIENCE_S
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(AT_ONCE, thread_name_prefix="previews")
    )
    _under_way: dict[str, "asyncio.Future[None]"] = field(default_factory=dict)

    async def picture(self, source: PictureSource, size: PictureSize) -> Path:
        """The kept picture, made now if it is not there yet. Raises NoPicture."""
        path = self._path(source, size)
        if path.is_file() and (source.version or not await self._is_stale(source, path)):
            return path
        await self._make(source)
        if not path.is_file():
            raise NoPicture("its picture could not be kept: is the disk full?", passing=True)
        return path

    def close(self) -> None:
        """Take on nothing more; what is being made is left to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _path(self, source: PictureSource, size: PictureSize) -> Path:
        return _kept_in(self.folder, source) / f"{source.version or 'new'}-{size}.jpg"

    async def _is_stale(self, source: PictureSource, kept: Path) -> bool:
        """Whether a picture that nobody has taken in yet was put there anew since."""

        def newer() -> bool:
            made = kept.stat().st_mtime
            return any(path.stat().st_mtime > made for path in self._copies(source))

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.patience_s):
                return await loop.run_in_executor(self._pool, newer)
        except (TimeoutError, OSError):
            return False

    async def _make(self, source: PictureSource) -> None:
        """Make both sizes, once for all who ask at the time. Raises NoPicture."""
        work = self._under_way.get(source.guid)
        if work is None:
            if len(self._under_way) >= MAX_WAITING:
                raise NoPicture("many pictures are being made: look again soon", passing=True)
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._pool, make_pictures, self, source)
            self._under_way[source.guid] = work
            work.add_done_callback(lambda _: self._under_way.pop(source.guid, None))
        done, _ = await asyncio.wait([work], timeout=self.patience_s)
        if not done:
            raise NoPicture("its picture is being made: look again soon", passing=True)
        await work

    def _copies(self, source: PictureSource) -> Iterator[Path]:
        """Copies that can be reached, and lie where such copies may lie."""
        for root, folder in ((self.store, source.store), (self.drive, source.drive)):
            if not folder:
                continue
            for name in _names(source):
                path = Path(folder, name)
                if path.is_file() and path.resolve().is_relative_to(root.resolve()):
                    yield path


def _kept_in(folder: Path, source: PictureSource) -> Path:
    """A folder for each guid, named so that any guid makes a name, among some hundred others."""
    digest = hashlib.sha256(source.guid.encode()).hexdigest()
    return folder / digest[:2] / digest[:32]


def _names(source: PictureSource) -> Sequence[str]:
    if source.names:
        return [name for name in source.names if name == Path(name).name]
    if source.file_name != Path(source.file_name).name:
        return []
    return [source.file_name + end for each in IMAGES for end in (each, each.upper())]


def make_pictures(of: Previews, source: PictureSource) -> None:
    """Make and keep both sizes, of the first copy that can be read. Raises NoPicture."""
    why = ""
    try:
        for copy in of._copies(source):
            try:
                _keep(of, source, copy)
                return
            except CannotShrink as error:
                why = why or str(error)
    except OSError as error:
        why = why or f"its picture cannot be read or kept: {error.strerror or error}"
    if not why:
        pictures = [name for name in source.names if format_of_name(name)]
        why = "no copy of its picture can be reached from here"
        if source.names and not pictures:
            why = "none of its files is a picture"
    raise NoPicture(why)


def _keep(of: Previews, source: PictureSource, copy: Path) -> None:
    """Shrink a copy to both sizes; a name is given only to what is complete."""
    folder = _kept_in(of.folder, source)
    folder.mkdir(parents=True, exist_ok=True)
    drafts = {
        size: folder / f".{size}-{os.getpid()}-{uuid.uuid4().hex}.part" for size in PictureSize
    }
    try:
        sizes = [(drafts[size], LONGEST_PX[size]) for size in PictureSize]
        shrink(copy, sizes)
        for size, draft in drafts.items():
            draft.replace(of._path(source, size))
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    for old in folder.glob("*.jpg"):  # those of a content that it had before
        if not old.name.startswith((source.version or "new") + "-"):
            old.unlink(missing_ok=True)


async def keep_picture(of: Previews, source: PictureSource) -> str:
    """Have a preview before a copy goes; why there is none, or nothing. Never raises for files."""
    try:
        await of.picture(source, PictureSize.PREVIEW)
    except NoPicture as error:
        return str(error)
    except (OSError, FileError) as error:
        return f"its preview could not be made: {error}"
    return ""
