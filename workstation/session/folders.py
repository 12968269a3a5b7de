"""Which specimens lie in a session's folder, and everything that is wrong with its files."""

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.guid import has_dashed_form
from schemas.storable import why_not_storable
from workstation.files import Progress, ReadFile, read_file, size_and_time
from workstation.images.reading import IMAGE_SUFFIXES, RAW_SUFFIXES, check_image, check_raw
from workstation.places import long_path
from workstation.problems import FileProblem, WorkstationError, translated

LONGEST_NAME = 255

_OF_THE_SYSTEM = frozenset({"thumbs.db", "desktop.ini"})
_DNG = ".dng"

LeftFiles = Mapping[str, tuple[int, int]]
"""Names of files that an ended session left, with their bytes and time of change (ns)."""


class FolderUnusable(WorkstationError):
    """The folder of a session cannot be read."""

    remedy = "name a folder that holds the images of one finished session"


@dataclass(frozen=True, slots=True)
class PhotographedSpecimen:
    """The files of one specimen: what its names begin with, its image, and its raws by name."""

    stem: str
    image: Path
    raws: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All of its files, the image first."""
        return (self.image, *self.raws)


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What lies in a folder.

    `seen`: bytes and time of change (ns) of each file that was looked at; `read`: the files that
    were read whole already.
    """

    folder: Path
    specimens: tuple[PhotographedSpecimen, ...]
    problems: tuple[FileProblem, ...]
    seen: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    read: Mapping[Path, ReadFile] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Whether something has to be put right before the folder can be sent."""
        return any(problem.stops for problem in self.problems)


def find_specimens(
    folder: Path,
    *,
    raw_required: bool = True,
    left: LeftFiles | None = None,
    progress: Progress | None = None,
) -> FolderScan:
    """Look at every file of `folder`: all specimens, and all problems at once.

    `left` are files that an ended session left there, which are not taken again. `progress` is
    told of each image that was looked at, with its bytes. Raises FolderUnusable.
    """
    folder = long_path(Path(os.path.abspath(folder)), LONGEST_NAME)
    paths, problems = _sorted_out(folder, left or {})
    specimens: list[PhotographedSpecimen] = []
    seen: dict[Path, tuple[int, int]] = {}
    for group in _groups(paths):
        images, raws = _parted(group)
        wrong = list(_wrong_in(group, raw_required=raw_required))
        if not wrong:
            specimens.append(PhotographedSpecimen(images[0].stem, images[0], tuple(raws)))
        problems += [*wrong, *_unusable(images, raws, seen, progress)]
    read, alike = _alike(seen)
    problems += alike
    if not specimens and not any(problem.stops for problem in problems):
        what = "there is no image in it that could be sent"
        problems.append(FileProblem(folder, what, FolderUnusable.remedy))
    return FolderScan(folder, tuple(specimens), tuple(problems), seen, read)


def _sorted_out(folder: Path, left: LeftFiles) -> tuple[list[Path], list[FileProblem]]:
    """The camera's files by name, and remarks on what is left alone."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        kinds = [(Path(each.path), _kind(each)) for each in entries if not _is_hidden(each)]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FolderUnusable(folder, "it is no folder, or is not there") from error
    except OSError as error:
        raise translated(error, folder) from error
    taken, remarks = [], []
    for path, kind in kinds:
        known = left.get(path.name)
        if kind:
            remarks.append(FileProblem(path, kind, "move its images here if they belong", False))
        elif known is not None and known == size_and_time(path):
            what = "a session that has ended left it here; it is not sent again"
            remarks.append(FileProblem(path, what, "remove it when it is no longer needed", False))
        elif path.suffix.lower() in IMAGE_SUFFIXES | RAW_SUFFIXES:
            taken.append(path)
        else:
            what = "it is neither an image nor a raw file; it is left alone"
            remarks.append(FileProblem(path, what, "remove it if it is not needed", False))
    return taken, remarks


def _kind(entry: os.DirEntry[str]) -> str:
    """What an entry is when it is no plain file; else nothing."""
    if entry.is_symlink():
        return "it is a link, which is not followed"
    if entry.is_dir(follow_symlinks=False):
        return "it is a folder in the folder, which is not read"
    return "" if entry.is_file(follow_symlinks=False) else "it is no plain file; it is left alone"


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    if name in _OF_THE_SYSTEM or name.startswith((".", "~$")):
        return True
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & (stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM))


def _groups(paths: Iterable[Path]) -> list[list[Path]]:
    """Files together whose names begin alike, as Windows and Macs see it."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[unicodedata.normalize("NFC", path.stem).casefold()].append(path)
    return list(groups.values())


def _parted(group: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The converted images and the raws of one base name."""
    images = [path for path in group if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        images = [path for path in group if path.suffix.lower() == _DNG]
    return images, [path for path in group if path not in images]


def _wrong_in(group: list[Path], *, raw_required: bool) -> Iterator[FileProblem]:
    images, raws = _parted(group)
    if why := why_not_storable(group[0].name):
        yield FileProblem(group[0], f"its name cannot be written down: {why}", "give it another")
    elif not images:
        what = "it has no converted image of the same name beside it"
        yield FileProblem(raws[0], what, "convert it to TIFF or JPEG, or take it out of the folder")
    elif len(images) > 1:
        what = f"there are several images of its name: {', '.join(path.name for path in images)}"
        yield FileProblem(images[0], what, "keep the one that is to be archived")
    elif not raws and raw_required:
        what = "it has no raw file of the same name beside it"
        yield FileProblem(images[0], what, "copy the raw file from the camera, or take it out")
    if has_dashed_form(group[0].stem.lower()):
        what = "it has a guid for a name, and no session that ended here left it as it is now"
        remedy = "if it was never sent, give its files another name; else move them away"
        yield FileProblem(group[0], what, remedy)
    kinds = [path.suffix.lower() for path in raws]
    for path in raws:
        if images and kinds.count(path.suffix.lower()) > 1:
            what = "there is another raw file that differs only in how its name is written"
            yield FileProblem(path, what, "keep the one that the image was made from")


def _unusable(
    images: list[Path],
    raws: list[Path],
    seen: dict[Path, tuple[int, int]],
    progress: Progress | None,
) -> Iterator[FileProblem]:
    """What is wrong with the files of one base name; those that are well are put into `seen`."""
    for path in (*images, *raws):
        try:
            facts = size_and_time(path)
            check_image(path) if path in images else check_raw(path)
        except WorkstationError as error:
            yield error.problem
            continue
        if facts is not None:
            seen[path] = facts
            if progress is not None:
                progress(path, facts[0])


def _alike(
    seen: Mapping[Path, tuple[int, int]],
) -> tuple[dict[Path, ReadFile], list[FileProblem]]:
    """Images of one content, and what was read for it: only images of one size are read."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(seen):
        if path.suffix.lower() in IMAGE_SUFFIXES | {_DNG}:
            sizes[seen[path][0]].append(path)
    read: dict[Path, ReadFile] = {}
    first: dict[str, Path] = {}
    problems: list[FileProblem] = []
    for path in (path for paths in sizes.values() if len(paths) > 1 for path in paths):
        try:
            read[path] = read_file(path)
        except WorkstationError as error:
            problems.append(error.problem)
            continue
        other = first.setdefault(read[path].sha256, path)
        if other is not path:
            what = f"it has the same content as {other.name}"
            problems.append(FileProblem(path, what, "keep one of them, and its raw file"))
    return read, problems
