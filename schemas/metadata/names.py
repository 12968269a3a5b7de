"""The fields of a metadata document: today's (v3.0.4), and what v2.1.0 called them.

Pipelines, callbacks and documents all use these names.
"""

from typing import Annotated, Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.guid import AssetGuid
from schemas.times import Moment

Texts = tuple[str, ...]
Given = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Part(BaseModel):
    """A frozen piece of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Publisher(Part):
    """Who published the asset outside."""

    name: str | None = None


class Issue(Part):
    """Something wrong with an asset, for people to solve."""

    category: str | None = None
    name: str | None = None
    timestamp: str | None = None
    status: str | None = None
    description: str | None = None
    notes: str | None = None
    solved: bool = False


class Legality(Part):
    """Whose it is and how it may be used."""

    copyright: str | None = None
    license: str | None = None
    credit: str | None = None


class DocumentFields(Part):
    """Every field of v3.0.4. Five are required; every time has a zone."""

    asset_guid: AssetGuid
    collection: Given
    institution: Given
    pipeline_name: Given
    workstation_name: Given

    asset_created_by: str | None = None
    asset_deleted_by: str | None = None
    asset_pid: Texts = ()
    asset_subject: str | None = None
    asset_updated_by: str | None = None
    audited: bool = False
    audited_by: str | None = None
    barcode: Texts = ()
    camera_setting_control: str | None = None
    complete_digitiser_list: Texts = ()
    date_asset_created_ars: Moment | None = None
    date_asset_deleted_ars: Moment | None = None
    date_asset_finalised: Moment | None = None
    date_asset_taken: Moment | None = None
    date_asset_updated_ars: Moment | None = None
    date_audited: Moment | None = None
    date_metadata_created_ars: Moment | None = None
    date_metadata_ingested: Moment | None = None
    date_metadata_updated_ars: Moment | None = None
    date_pushed_to_specify: Moment | None = None
    digitiser: str | None = None
    external_publishers: tuple[Publisher, ...] = ()
    file_format: str | None = None
    funding: Texts = ()
    has_thumbnail: bool = False
    issues: tuple[Issue, ...] = ()
    legality: Legality = Legality()
    make_public: bool = False
    metadata_created_by: str | None = None
    metadata_source: str | None = None
    metadata_updated_by: str | None = None
    metadata_version: str | None = None
    mime_type: str | None = None
    mos_id: str | None = None
    multi_specimen: bool = False
    parent_guids: tuple[AssetGuid, ...] = ()
    payload_type: str | None = None
    preparation_type: Texts = ()
    push_to_specify: bool = False
    restricted_access: Texts = ()
    session_id: str | None = None
    specify_attachment_remarks: str | None = None
    specify_attachment_title: str | None = None
    specimen_pid: Texts = ()
    status: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        """A null where v3 has a list, an object or a yes is that field left out."""
        if not isinstance(given, dict):
            return given
        return {name: v for name, v in given.items() if v is not None or name not in NEVER_NULL}


NEVER_NULL = frozenset(
    name
    for name, field in DocumentFields.model_fields.items()
    if not field.is_required() and field.get_default(call_default_factory=True) is not None
)
"""The fields that have a value in every v3 document, if an empty one."""

_DECLARED = DocumentFields.model_fields.items()

FIELDS = frozenset(DocumentFields.model_fields)
REQUIRED = tuple(name for name, field in _DECLARED if field.is_required())
FLAGS = frozenset(name for name, field in _DECLARED if field.annotation is bool)
DATES = frozenset(name for name in FIELDS if name.startswith("date_"))
LISTS = frozenset(
    name
    for name, field in _DECLARED
    if get_origin(field.annotation) is tuple and name not in ("external_publishers", "issues")
)

RENAMED = {
    "audited_date": "date_audited",
    "date_asset_created": "date_asset_created_ars",
    "date_asset_deleted": "date_asset_deleted_ars",
    "date_asset_updated": "date_asset_updated_ars",
    "date_metadata_created": "date_metadata_ingested",
    "date_metadata_updated": "date_metadata_updated_ars",
    "external_publisher": "external_publishers",
    "multispecimen": "multi_specimen",
    "parent_guid": "parent_guids",
    "pushed_to_specify_date": "date_pushed_to_specify",
}
"""v2.1.0 name → v3 name. `parent_guid` as a list is 3.0.2; `parent_guids` came with 3.0.3."""

V2_ONLY = frozenset({"date_metadata_uploaded", "metadata_uploaded_by"})
"""v2.1.0 fields without a successor: they stay in the document as it arrived."""


def v3_name(name: str) -> str | None:
    """The v3 name of a field in either version, `tags.<key>` included; None when unknown."""
    field, dot, key = name.partition(".")
    field = RENAMED.get(field, field)
    if field not in FIELDS or (dot and (field != "tags" or not key)):
        return None
    return field + dot + key
