"""The bodies clients send about assets and specimens.

Unknown keys are ignored and every field may be missing here: which are required, in what order
they are checked and with what words is the business of `checks`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the date lies outside the calendar") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class ArsBody(BaseModel):
    """Reads as the archive's JSON reader does: unknown keys ignored, numbers taken as text."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)


class RoleRestriction(ArsBody):
    name: str


class SpecimenBody(ArsBody):
    institution: str | None = None
    collection: str | None = None
    barcode: str | None = None
    specimen_pid: str | None = None
    preparation_types: list[str] | None = None
    role_restrictions: list[RoleRestriction] = Field(default_factory=list)
    specimen_id: int | None = None


class AssetSpecimenBody(ArsBody):
    specimen_id: int | None = None
    specimen_pid: str | None = None
    asset_preparation_type: str | None = None
    specify_collection_object_attachment_id: int | None = None
    asset_detached: bool = False
    specimen: SpecimenBody | None = None


class IssueBody(ArsBody):
    issue_id: int | None = None
    category: str | None = None
    name: str | None = None
    timestamp: Moment | None = None
    status: str | None = None
    description: str | None = None
    notes: str | None = None
    solved: bool | None = None


class Legality(ArsBody):
    copyright: str | None = None
    license: str | None = None
    credit: str | None = None


class Publication(ArsBody):
    publication_id: int | None = None
    description: str | None = None
    name: str | None = None


class AssetBody(ArsBody):
    """An asset as a client may set it; an omitted list is empty, an omitted scalar null.

    `issues` alone tells omitted (leave) from empty (delete all).
    """

    asset_pid: str | None = None
    asset_guid: str | None = None
    status: str | None = None
    multi_specimen: bool = False
    asset_specimen: list[AssetSpecimenBody] | None = None
    funding: list[str] | None = None
    asset_subject: str | None = None
    payload_type: str | None = None
    file_formats: list[str] | None = None
    asset_locked: bool = False
    restricted_access: list[Literal["USER", "ADMIN", "SERVICE_USER", "DEVELOPER"]] | None = None
    tags: dict[str, str | None] | None = None
    institution: str | None = None
    collection: str | None = None
    parent_guids: list[str] | None = None
    pipeline: str | None = None
    workstation: str | None = None
    digitiser: str | None = None
    complete_digitiser_list: list[str] | None = None
    date_asset_taken: Moment | None = None
    date_asset_finalised: Moment | None = None
    date_metadata_ingested: Moment | None = None
    camera_setting_control: str | None = None
    metadata_version: str | None = None
    metadata_source: str | None = None
    mos_id: str | None = None
    make_public: bool = False
    push_to_specify: bool = False
    issues: list[IssueBody] | None = None
    legality: Legality | None = None
    external_publishers: list[Publication] | None = None
    role_restrictions: list[RoleRestriction] | None = None
    specify_attachment_remarks: str | None = None
    specify_attachment_title: str | None = None
    updating_pipeline: str | None = None
    updateUser: str | None = None

    @property
    def guid(self) -> str:
        assert self.asset_guid is not None
        return self.asset_guid

    @property
    def specimens(self) -> list[AssetSpecimenBody]:
        return self.asset_specimen or []

    @property
    def parents(self) -> list[str]:
        return self.parent_guids or []

    @property
    def restrictions(self) -> list[str]:
        return [restriction.name for restriction in self.role_restrictions or []]

    def stored(self) -> dict[str, Any]:
        """What is kept as the document; specimens have rows of their own."""
        document = self.model_dump(mode="json", exclude={"asset_specimen"})
        for field in _LISTS:
            document[field] = document[field] or []
        document["tags"] = document["tags"] or {}
        return document


_LISTS = (
    "funding",
    "file_formats",
    "restricted_access",
    "parent_guids",
    "complete_digitiser_list",
    "issues",
    "external_publishers",
    "role_restrictions",
)
