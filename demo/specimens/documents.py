"""The JSON that a workstation writes with each image, in both versions it may have."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FILE_FORMAT = {".tif": "tif", ".jpg": "jpeg"}


@dataclass(frozen=True, slots=True)
class Capture:
    """What the workstation knows when the shutter has closed. Times carry their zone."""

    guid: str
    taken: datetime
    written: datetime
    suffix: str
    workstation: str
    digitiser: str
    pipeline: str = "PIPEHERB0001"
    institution: str = "NHMD"
    collection: str = "Vascular plants"
    preparation: str = "sheet"
    original_name: str | None = None

    @property
    def file_name(self) -> str:
        return self.guid + self.suffix

    def tags(self) -> dict[str, str]:
        return {} if self.original_name is None else {"originalFileName": self.original_name}


def document_v2(capture: Capture) -> dict[str, Any]:
    """The document in v2.1.0: all 38 keys, what is not known yet empty or null."""
    empty = dict.fromkeys(
        (
            *("asset_created_by", "asset_deleted_by", "asset_pid", "asset_subject"),
            *("asset_updated_by", "audited_by", "date_metadata_updated", "date_metadata_uploaded"),
            *("metadata_updated_by", "metadata_uploaded_by", "parent_guid", "specimen_pid"),
            "status",
        ),
        "",
    )
    unknown = dict.fromkeys(
        (
            *("audited_date", "date_asset_created", "date_asset_deleted", "date_asset_finalised"),
            *("date_asset_updated", "pushed_to_specify_date"),
        )
    )
    return {
        **empty,
        **unknown,
        "asset_guid": capture.guid,
        "audited": False,
        "barcode": [],
        "collection": capture.collection,
        "date_asset_taken": capture.taken.isoformat(timespec="seconds"),
        "date_metadata_created": capture.written.isoformat(timespec="seconds"),
        "digitiser": capture.digitiser,
        "external_publisher": [],
        "file_format": FILE_FORMAT[capture.suffix],
        "funding": "DaSSCo",
        "institution": capture.institution,
        "metadata_created_by": "IngestionClient",
        "multispecimen": False,
        "payload_type": "image",
        "pipeline_name": capture.pipeline,
        "preparation_type": capture.preparation,
        "restricted_access": [],
        "tags": {"metadataTemplate": "v2_1_0", **capture.tags()},
        "workstation_name": capture.workstation,
    }


def document_v3(capture: Capture) -> dict[str, Any]:
    """The document in v3.0.4, with the keys a workstation fills in."""
    return {
        "asset_guid": capture.guid,
        "asset_pid": [],
        "audited": False,
        "barcode": [],
        "collection": capture.collection,
        "complete_digitiser_list": [capture.digitiser],
        "date_asset_taken": capture.taken.isoformat(timespec="seconds"),
        "date_metadata_ingested": capture.written.isoformat(timespec="seconds"),
        "digitiser": capture.digitiser,
        "external_publishers": [],
        "file_format": FILE_FORMAT[capture.suffix],
        "funding": ["DaSSCo Tranche 1"],
        "has_thumbnail": False,
        "institution": capture.institution,
        "issues": [],
        "legality": {"copyright": None, "license": "CC-BY-4.0", "credit": None},
        "make_public": True,
        "metadata_created_by": "IngestionClient",
        "metadata_source": "Workstation",
        "metadata_version": "v3.0.4",
        "mime_type": "image/tiff" if capture.suffix == ".tif" else "image/jpeg",
        "multi_specimen": False,
        "parent_guids": [],
        "payload_type": "image",
        "pipeline_name": capture.pipeline,
        "preparation_type": [capture.preparation],
        "push_to_specify": False,
        "restricted_access": [],
        "specimen_pid": [],
        "status": "WORKING_COPY",
        "tags": capture.tags(),
        "workstation_name": capture.workstation,
    }


def as_text(document: dict[str, Any]) -> str:
    """The document as it is written to a file: UTF-8, letters as they are."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
