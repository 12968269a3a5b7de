"""What will be done with a session's folder: every new name and checksum, before the first change.

Planning only reads. The journal keeps the plan, and renaming carries it out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from schemas.digitisation import Values
from workstation.files import FileChanged, Progress, ReadFile, read_file, size_and_time
from workstation.images.capture_time import CaptureTime, capture_time
from workstation.problems import FileProblem, WorkstationError
from workstation.session.choices import ChoiceProblem, Choices, check_choices
from workstation.session.folders import FolderScan, PhotographedSpecimen
from workstation.session.metadata import SessionFacts, metadata_document
from workstation.session.naming import GuidMaker, IsTaken, metadata_name, new_name, session_name

FileKind = Literal["image", "metadata", "raw"]


class WrongChoices(Exception):
    """What was chosen is not offered to this workstation; `problems` name each."""

    def __init__(self, problems: Sequence[ChoiceProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file and the name it gets; `is_sent`: it is uploaded.

    Metadata has no original: `content` is what will be written.
    """

    kind: FileKind
    original_name: str
    new_name: str
    facts: ReadFile
    is_sent: bool
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class PlannedSpecimen:
    """A specimen with its guid, and its files in the order in which they get their names."""

    stem: str
    guid: str
    captured: CaptureTime
    files: tuple[PlannedFile, ...]


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """A session as it will be; nothing may be done while `stops` is true."""

    folder: Path
    session: SessionFacts
    specimens: tuple[PlannedSpecimen, ...]
    problems: tuple[FileProblem, ...]

    @property
    def stops(self) -> bool:
        """Whether something has to be put right first."""
        return not self.specimens or any(problem.stops for problem in self.problems)


def plan_folder(
    scan: FolderScan,
    choices: Choices,
    values: Values,
    *,
    now: datetime,
    client: str,
    is_taken: IsTaken,
    progress: Progress | None = None,
) -> FolderPlan:
    """Plan the session of a scanned folder, reading each file once and writing nothing.

    The problems are the scan's, and what is wrong with capture times or changed since. `client`
    is the client's version, `is_taken` knows the guids of other sessions. Raises WrongChoices.
    """
    wrong, collection = check_choices(choices, values), values.collection(choices.collection)
    if wrong or collection is None:
        raise WrongChoices(wrong)
    name = session_name(now, values.time_zone)
    session = SessionFacts(name, now, choices, values, client)
    guids = GuidMaker(values, collection, is_taken)
    specimens: list[PlannedSpecimen] = []
    problems = list(scan.problems)
    broken = {problem.file for problem in problems if problem.stops}
    for found in scan.specimens:
        if broken.intersection(found.files):
            continue
        try:
            captured = capture_time(found.image, values.time_zone, now)
            specimen = _planned(found, captured, guids, session, scan, progress)
        except WorkstationError as error:
            problems.append(error.problem)
            continue
        specimens.append(specimen)
        if captured.warning:
            remedy = "correct the camera's clock, and the image if it is wrong"
            problems.append(FileProblem(found.image, captured.warning, remedy, stops=False))
    return FolderPlan(scan.folder, session, tuple(specimens), tuple(problems))


def _planned(
    found: PhotographedSpecimen,
    captured: CaptureTime,
    guids: GuidMaker,
    session: SessionFacts,
    scan: FolderScan,
    progress: Progress | None,
) -> PlannedSpecimen:
    guid = guids.make(captured.when)
    files = list(_camera_files(found, guid, session, scan, progress))
    content = metadata_document(session, guid, captured, found.image)
    name = metadata_name(guid)
    files.append(PlannedFile("metadata", "", name, ReadFile.of(content), True, content))
    return PlannedSpecimen(found.stem, guid, captured, tuple(files))


def _camera_files(
    found: PhotographedSpecimen,
    guid: str,
    session: SessionFacts,
    scan: FolderScan,
    progress: Progress | None,
) -> Iterator[PlannedFile]:
    for path in found.files:
        is_image = path == found.image
        facts = scan.read.get(path) or read_file(path, progress)
        if not scan.seen.get(path) == size_and_time(path) == (facts.size_bytes, facts.mtime_ns):
            raise FileChanged(path, "it was changed after it was looked at")
        kind: FileKind = "image" if is_image else "raw"
        is_sent = is_image or session.values.upload_raw
        yield PlannedFile(kind, path.name, new_name(guid, path), facts, is_sent)
