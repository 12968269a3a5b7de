"""Metadata as version 2.1.0, for the scripts on clusters that read it so.

Its 38 keys are always there. A single value stands alone, as v2 has it; several stay a list,
so that a script which hands the document on loses none.
"""

from typing import Any

from schemas.metadata.document import Metadata
from schemas.metadata.names import FLAGS, LISTS, RENAMED, V2_ONLY

_SINGLE = frozenset({"asset_pid", "funding", "parent_guids", "preparation_type", "specimen_pid"})

_KEPT = frozenset(
    {
        *("asset_created_by", "asset_deleted_by", "asset_guid", "asset_pid", "asset_subject"),
        *("asset_updated_by", "audited", "audited_by", "barcode", "collection"),
        *("date_asset_finalised", "date_asset_taken", "digitiser", "file_format", "funding"),
        *("institution", "metadata_created_by", "metadata_updated_by", "payload_type"),
        *("pipeline_name", "preparation_type", "restricted_access", "specimen_pid", "status"),
        *("tags", "workstation_name"),
    }
)

KEYS = frozenset({*_KEPT, *RENAMED, *V2_ONLY})
"""The 38 keys of v2.1.0."""


def to_v2(metadata: Metadata) -> dict[str, Any]:
    """The document in v2.1.0, with `_id` as the document store of old gave it."""
    canonical = metadata.canonical()
    document: dict[str, Any] = {"_id": metadata.asset_guid}
    for key in sorted(KEYS):
        field = RENAMED.get(key, key)
        document[key] = _as_v2(field, canonical.get(field))
    document["external_publisher"] = [p["name"] for p in canonical["external_publishers"]]
    return document


def _as_v2(field: str, value: Any) -> Any:
    if field in _SINGLE:
        return value if len(value) > 1 else next(iter(value), None)
    if field in LISTS or field in FLAGS or field.startswith("date_"):
        return value
    # A v2 text is empty, not null, with the exception of a missing parent.
    return "" if value is None else value
