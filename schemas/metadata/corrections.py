"""What a person may correct of an asset's metadata, and why the rest is no person's to change."""

import json
from typing import Any

from schemas.metadata.document import MetadataError
from schemas.metadata.names import FIELDS, RENAMED, v3_name
from schemas.yaml_lines import nearest

_FILE = "it says what the file is: archive another file under a guid of its own"
_PLACE = "its files lie under it in the archive: drop the specimen anew under another guid"
_ARCHIVE = "the archive writes it itself"
_ROAD = "it is written when it happens, by what does it"

FIXED = {
    "asset_guid": "it names the asset everywhere: drop the specimen anew under another guid",
    "asset_pid": "others may have cited it",
    "parent_guids": "it says what the image was made of",
    "pipeline_name": "its stages are this pipeline's: drop the specimen anew under another guid",
    **dict.fromkeys(("collection", "institution", "workstation_name"), _PLACE),
    **dict.fromkeys(("file_format", "has_thumbnail", "mime_type"), _FILE),
    **dict.fromkeys(
        ("date_asset_finalised", "date_metadata_ingested", "metadata_source", "metadata_version",
         "session_id"),
        _ROAD,
    ),
    **dict.fromkeys(
        ("asset_created_by", "asset_deleted_by", "asset_updated_by", "audited", "audited_by",
         "date_asset_created_ars", "date_asset_deleted_ars", "date_asset_updated_ars",
         "date_audited", "date_metadata_updated_ars", "date_metadata_created_ars",
         "date_pushed_to_specify", "metadata_created_by", "metadata_updated_by"),
        _ARCHIVE,
    ),
}  # fmt: skip
"""The fields that no person changes, each with the reason and what to do instead."""

FIXED_TAGS = {
    "replaced_by": "operate/replace writes it",
    "replaces": "operate/replace writes it",
}

CORRECTABLE = tuple(sorted(FIELDS - FIXED.keys()))
"""The v3 names of what a person may correct."""

ACCEPTED = tuple(sorted({*CORRECTABLE, *(old for old, new in RENAMED.items() if new not in FIXED)}))
"""The same with v2's names, as a form offers them."""

NEEDED = frozenset({"digitiser"})
"""What the archive takes no asset without."""

OWN = frozenset({"payload_type"})
"""What may be corrected, and is no derivative's because it is its parent's."""


def correctable(name: str) -> str:
    """The v3 name of a field that a person may correct. Raises MetadataError saying why not."""
    field = v3_name(name)
    if field in FIXED:
        raise MetadataError(f"{name} is not a person's to change", FIXED[field])
    if field is None or field not in CORRECTABLE:
        near = nearest(name, ACCEPTED)
        hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(CORRECTABLE)}"
        raise MetadataError(f"there is no field {name!r}", hint)
    return field


def read_value(text: str) -> Any:
    """What a person wrote: JSON if it is a list, a mapping or in quotes; else text; empty: null.

    A number stays text: 0012 is a catalogue number. Raises MetadataError for broken JSON.
    """
    bare = text.strip()
    if not bare:
        return None
    if bare[0] not in '[{"':
        return text
    try:
        return json.loads(bare)
    except ValueError as error:
        remedy = 'Mend it, or write text that begins like JSON in quotes, as "[text]"'
        raise MetadataError(f"{bare!r:.60} is no JSON ({error})", remedy) from None
