"""The names of metadata fields: today's (v3.0.4), and what v2.1.0 called them.

A leaf of its own, since pipelines, callbacks and documents all speak these names.
"""

REQUIRED = ("asset_guid", "collection", "institution", "pipeline_name", "workstation_name")

TEXTS = (
    "asset_created_by",
    "asset_deleted_by",
    "asset_subject",
    "asset_updated_by",
    "audited_by",
    "camera_setting_control",
    "digitiser",
    "file_format",
    "metadata_created_by",
    "metadata_source",
    "metadata_updated_by",
    "metadata_version",
    "mime_type",
    "mos_id",
    "payload_type",
    "session_id",
    "specify_attachment_remarks",
    "specify_attachment_title",
    "status",
)

LISTS = (
    "asset_pid",
    "barcode",
    "complete_digitiser_list",
    "funding",
    "parent_guids",
    "preparation_type",
    "restricted_access",
    "specimen_pid",
)

FLAGS = ("audited", "has_thumbnail", "make_public", "multi_specimen", "push_to_specify")

DATES = (
    "date_asset_created_ars",
    "date_asset_deleted_ars",
    "date_asset_finalised",
    "date_asset_taken",
    "date_asset_updated_ars",
    "date_audited",
    "date_metadata_created_ars",
    "date_metadata_ingested",
    "date_metadata_updated_ars",
    "date_pushed_to_specify",
)

OTHERS = ("external_publishers", "issues", "legality", "tags")

FIELDS = frozenset((*REQUIRED, *TEXTS, *LISTS, *FLAGS, *DATES, *OTHERS))
"""Every field of v3.0.4."""

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
