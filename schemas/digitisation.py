"""What a workstation may say of a session: the values that its digitiser chooses from.

The museum writes them down once (`deployments/workstations.yaml`); the server offers each
workstation its own.
"""

from collections.abc import Container, Iterator
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from schemas.definition import Definition, build, refusal
from schemas.guid import GROUPS, GuidError, check_file_name
from schemas.yaml_lines import DefinitionError, Located, Problem, nearest, read_documents

DeleteAfter = Literal["confirmed", "archived"]
"""When a workstation may delete its files: once the server confirmed what it stored, or once the
archive has it."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class DigitisationError(DefinitionError):
    """The values cannot be used as they are written."""


def _folder(name: str) -> str:
    return check_file_name(name)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise refusal(f"no time zone is called '{name}'; write one as Europe/Copenhagen") from None
    return name


MAX_WORKSTATION = 64
"""Characters of a workstation's name."""

WorkstationName = Annotated[
    str, StringConstraints(max_length=MAX_WORKSTATION), AfterValidator(_folder)
]
"""A workstation, which is also its folder on the N-Drive."""

ANY_WORKSTATION = "*"
"""Among names of workstations: every one of them."""


def upload_target(name: str) -> str:
    """A workstation into whose folder somebody may upload, or `*`. Raises GuidError."""
    if len(name) > MAX_WORKSTATION:
        raise GuidError(f"{name!r:.80} has more than {MAX_WORKSTATION} characters")
    return name if name == ANY_WORKSTATION else check_file_name(name)


UploadTarget = Annotated[str, AfterValidator(upload_target)]


def may_upload_to(workstations: Container[str], name: str) -> bool:
    """Whether somebody who has these workstations may upload into that one's folder."""
    return name in workstations or ANY_WORKSTATION in workstations


def _digits(group: str) -> int:
    """The greatest number that a group of the guid holds."""
    return int(16 ** GROUPS[group] - 1)


class Collection(Definition):
    """A collection of an institution, and what is done with its specimens."""

    name: Text
    number: int = Field(ge=0, le=_digits("collection"))
    institution: Text
    pipelines: tuple[Text, ...] = Field(min_length=1)
    preparation_types: tuple[Text, ...] = Field(min_length=1)


class Workstation(Definition):
    """A camera workstation. Without `collections` it digitises all of its institution's."""

    name: WorkstationName
    number: int = Field(ge=0, le=_digits("workstation"))
    institution: Text
    collections: tuple[Text, ...] = ()
    time_zone: Annotated[str, AfterValidator(_zone)] = "Europe/Copenhagen"
    upload_raw: bool = False
    delete_after: DeleteAfter = "confirmed"


class Digitisation(Definition):
    """All of `workstations.yaml`; institutions with their numbers in guids."""

    institutions: dict[Text, Annotated[int, Field(ge=0, le=_digits("institution"))]]
    collections: tuple[Collection, ...] = Field(min_length=1)
    workstations: tuple[Workstation, ...] = Field(min_length=1)
    payload_types: tuple[Text, ...] = ("image",)
    funding: tuple[Text, ...] = ()
    digitisers: tuple[Text, ...] = ()

    def values_for(self, name: str) -> "Values":
        """What this workstation chooses from. Raises KeyError for one that is not written down."""
        found = next((each for each in self.workstations if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return Values(
            workstation=found.name,
            workstation_number=found.number,
            institution=found.institution,
            institution_number=self.institutions[found.institution],
            collections=tuple(
                CollectionValues.model_validate(each.model_dump(exclude={"institution"}))
                for each in self._collections_of(found)
            ),
            payload_types=self.payload_types,
            funding=self.funding,
            digitisers=self.digitisers,
            time_zone=found.time_zone,
            upload_raw=found.upload_raw,
            delete_after=found.delete_after,
        )

    def _collections_of(self, workstation: Workstation) -> Iterator[Collection]:
        for each in self.collections:
            named = not workstation.collections or each.name in workstation.collections
            if named and each.institution == workstation.institution:
                yield each


class CollectionValues(BaseModel):
    """A collection as it is offered to a workstation; `number` is its group in guids."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    number: int
    pipelines: tuple[str, ...]
    preparation_types: tuple[str, ...]


class Values(BaseModel):
    """What one workstation chooses from; the numbers are its groups in guids.

    `digitisers` and `funding` are suggestions, any other text will do; the others are all there
    are. `time_zone` is the one in which its cameras show the time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    workstation: str
    workstation_number: int
    institution: str
    institution_number: int
    collections: tuple[CollectionValues, ...]
    payload_types: tuple[str, ...]
    funding: tuple[str, ...] = ()
    digitisers: tuple[str, ...] = ()
    time_zone: str
    upload_raw: bool = False
    delete_after: DeleteAfter = "confirmed"

    def collection(self, name: str) -> CollectionValues | None:
        """The collection of that name."""
        return next((each for each in self.collections if each.name == name), None)


def load_digitisation(text: str, source: str) -> Digitisation:
    """The values of a file; DigitisationError with all problems found."""
    documents = read_documents(text, source, DigitisationError)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        expected = "expected one mapping with institutions, collections and workstations"
        raise DigitisationError(source, [Problem(1, expected)])
    located = documents[0].without_pieces()
    found = build(Digitisation, located, (), located.value)
    problems = found if isinstance(found, list) else list(_contradictions(found, located))
    if isinstance(found, list) or problems:
        raise DigitisationError(source, problems)
    return found


def _contradictions(found: Digitisation, located: Located) -> Iterator[Problem]:
    """What each entry by itself does not show."""
    collections = [each.name for each in found.collections]
    for kind in ("collections", "workstations"):
        entries: tuple[Collection | Workstation, ...] = getattr(found, kind)
        for i, each in enumerate(entries):
            if each.institution not in found.institutions:
                near = nearest(each.institution, found.institutions)
                line = located.line((kind, i, "institution"))
                yield Problem(line, f"no institution is called '{each.institution}'", near)
            earlier = entries[:i]
            if each.name in [other.name for other in earlier]:
                yield Problem(located.line((kind, i, "name")), f"{each.name} is written twice")
            if _taken(each, earlier):
                what = f"the number {each.number} is another's; guids would be alike"
                yield Problem(located.line((kind, i, "number")), what)
    for i, workstation in enumerate(found.workstations):
        for name in workstation.collections:
            if name not in collections:
                line = located.line(("workstations", i, "collections"))
                near = nearest(name, collections)
                yield Problem(line, f"no collection is called '{name}'", near)


def _taken(each: Collection | Workstation, earlier: tuple[Collection | Workstation, ...]) -> bool:
    """Whether the number is taken: workstations' count everywhere, collections' in their house."""
    return any(
        other.number == each.number
        and (isinstance(each, Workstation) or other.institution == each.institution)
        for other in earlier
    )
