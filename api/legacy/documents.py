"""The metadata that existing scripts read and hand on, in either version's names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.guid import AssetGuid, check_guid
from schemas.metadata.document import Metadata, MetadataError
from schemas.metadata.names import v3_name
from schemas.metadata.v2 import to_v2
from schemas.metadata.values import Reader

FORMATS = {"jpg": "jpeg", "tiff": "tif"}
"""Other names of file formats."""

OWN = ("file_format", "payload_type")
"""The fields that a derivative's document gives itself; all others are its parent's."""


@dataclass(frozen=True)
class DerivativeDocument:
    """A derivative as its script describes it."""

    guid: AssetGuid
    parent_guid: str
    fields: Mapping[str, Any]
    document: Mapping[str, Any]


def read_child(document: Mapping[str, Any]) -> DerivativeDocument:
    """The parts of a derivative's document that count, whichever version it is in.

    Raises MetadataError naming the field.
    """
    given = {field: value for name, value in document.items() if (field := v3_name(name))}
    names = ("asset_guid", "parent_guids", *OWN)
    values = {name: Reader().read(name, given.get(name)) for name in names}
    guid, parents = values["asset_guid"], values["parent_guids"]
    if not guid or not parents:
        field = "parent_guid" if guid else "asset_guid"
        raise MetadataError("is missing", "A derivative names itself and its parent", field=field)
    if guid in parents:
        raise MetadataError("is the asset itself", "Name its parent", field="parent_guid")
    if form := values["file_format"]:
        values["file_format"] = FORMATS.get(form.lower(), form.lower())
    try:
        named = check_guid(guid)
    except ValueError as error:
        raise MetadataError(str(error), "Name it after its parent", field="asset_guid") from error
    own = {name: values[name] for name in OWN if values[name] is not None}
    return DerivativeDocument(named, parents[0], own, document)


def readable(metadata: Metadata) -> dict[str, Any]:
    """A document for scripts of either age.

    It has v2.1.0's 38 keys in its own types, `_id`, and the fields that v3 added. Where both have
    a name, as `funding`, the type is v2's.
    """
    return metadata.canonical() | to_v2(metadata)
