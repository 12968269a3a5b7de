"""What the workstations' digitisers choose from, as `workstations.yaml` has it now."""

from collections.abc import Collection, Iterator
from pathlib import Path

from blocks.changing_file import ChangingFile
from refinery.settings import Settings
from schemas.digitisation import (
    ANY_WORKSTATION,
    Digitisation,
    DigitisationError,
    load_digitisation,
)
from schemas.yaml_lines import Problem, nearest


class ValuesUnreadable(DigitisationError):
    """The file of the values is not there, or is no text."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(str(path), [Problem(1, why)])
        self.path, self.why = path, why

    def __str__(self) -> str:
        return (
            f"{self.path} {self.why}; workstations have nothing to choose from until it is "
            "written, or workstations_file names another"
        )


class UnknownNames(ValueError):
    """The values name what is not there; a line for each."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {each}" for each in problems))


class OfferedValues:
    """The values of a file, read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = ChangingFile(path, self._understood)

    def read(self) -> Digitisation:
        """The values as the file has them now.

        Raises DigitisationError when it cannot be read or understood.
        """
        try:
            return self._content.read()
        except OSError as error:
            raise ValuesUnreadable(self.path, f"cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValuesUnreadable(self.path, "is not UTF-8") from error

    def _understood(self, data: bytes) -> Digitisation:
        return load_digitisation(data.decode(), str(self.path))


def check_values(
    digitisation: Digitisation, pipelines: Collection[str], workstations: Collection[str]
) -> list[str]:
    """What the values name that is not there, by the names of pipelines and watched workstations.

    A `*` among the workstations stands for all.
    """
    return [*_unknown_pipelines(digitisation, pipelines), *_unwatched(digitisation, workstations)]


def _unknown_pipelines(digitisation: Digitisation, known: Collection[str]) -> Iterator[str]:
    for collection in digitisation.collections:
        for name in collection.pipelines:
            if name not in known:
                what = f"collections, {collection.name}: no file has a pipeline '{name}'"
                yield what + _hint(name, known)


def _unwatched(digitisation: Digitisation, watched: Collection[str]) -> Iterator[str]:
    if ANY_WORKSTATION in watched:
        return
    for workstation in digitisation.workstations:
        if workstation.name not in watched:
            what = f"workstations, {workstation.name}: nobody watches its folder on the N-Drive"
            yield f"{what}; add it to the setting `workstations`{_hint(workstation.name, watched)}"


def _hint(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f"; nearest is '{near}'" if near else ""


def check_offered(settings: Settings, pipelines: Collection[str]) -> Digitisation:
    """The values of a project, all of which are there.

    Raises DigitisationError, or UnknownNames with everything that they name and is not there.
    """
    values = OfferedValues(settings.workstations_file).read()
    if problems := check_values(values, pipelines, settings.workstations):
        raise UnknownNames(settings.workstations_file, problems)
    return values


def known_workstation(settings: Settings, name: str) -> str:
    """A workstation that somebody may be let upload to, or `*`.

    Raises ValueError for a name that is nobody's, with the nearest, and DigitisationError.
    """
    if ANY_WORKSTATION in (name, *settings.workstations) or name in settings.workstations:
        return name
    known = {*settings.workstations}
    if settings.workstations_file.exists():
        known |= {
            each.name for each in OfferedValues(settings.workstations_file).read().workstations
        }
    if name not in known:
        raise ValueError(
            f"workstation: there is no '{name}'{_hint(name, known)}; the setting `workstations` "
            f"and {settings.workstations_file} say which there are"
        )
    return name
