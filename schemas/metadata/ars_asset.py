"""An asset in the form that ARS takes, which differs with the version of its contract.

`current` is 2.11, `v2_6` the one before it, `v1_7` the first. ARS replaces what it has by what
it is given: a body is always complete.
"""

from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from schemas.metadata.document import Metadata

Profile: TypeAlias = Literal["current", "v2_6", "v1_7"]

DEFAULT_STATUS = "WORKING_COPY"
_FORMATS = {"TIFF": "TIF", "JPG": "JPEG"}


class SpecimenBody(BaseModel):
    """A specimen, which ARS must have before an asset may name it."""

    model_config = ConfigDict(frozen=True)

    institution: str
    collection: str
    barcode: str
    specimen_pid: str
    preparation_types: tuple[str, ...] = ()
    role_restrictions: tuple[str, ...] = ()


def specimens_of(metadata: Metadata, profile: Profile = "current") -> list[SpecimenBody]:
    """One specimen per barcode. Its pid is the document's if there are as many, else made
    of institution, collection and barcode as ARS would.

    So it is, too, where v2_6 would have to find a URI in a path by it.
    """
    place = f"{metadata.institution}.{metadata.collection}"
    pids = [f"{place}.{barcode}" for barcode in metadata.barcode]
    if len(metadata.specimen_pid) == len(pids):
        as_made = zip(metadata.specimen_pid, pids, strict=True)
        pids = [made if profile == "v2_6" and "/" in given else given for given, made in as_made]
    return [
        SpecimenBody(
            institution=metadata.institution,
            collection=metadata.collection,
            barcode=barcode,
            specimen_pid=pid,
            preparation_types=metadata.preparation_type,
        )
        for barcode, pid in zip(metadata.barcode, pids, strict=True)
    ]


def file_format(name: str) -> str:
    """A file format as ARS spells it: `tif` and `tiff` are TIF, `jpg` and `jpeg` JPEG."""
    upper = name.strip().lstrip(".").upper()
    return _FORMATS.get(upper, upper)


def missing_for_ars(metadata: Metadata) -> list[str]:
    """The fields ARS needs to create an asset and the document lacks."""
    return [field for field in ("digitiser",) if getattr(metadata, field) is None]


def to_ars(
    metadata: Metadata,
    *,
    update_user: str | None = None,
    profile: Profile = "current",
) -> dict[str, Any]:
    """The body of create and update. The guid is the asset's pid unless there is another."""
    body = {
        "asset_guid": metadata.asset_guid,
        "asset_pid": next(iter(metadata.asset_pid), metadata.asset_guid),
        "status": metadata.status or DEFAULT_STATUS,
        "multi_specimen": metadata.multi_specimen,
        "payload_type": metadata.payload_type,
        "file_formats": [file_format(metadata.file_format)] if metadata.file_format else [],
        "asset_locked": False,
        "restricted_access": [_role(role) for role in metadata.restricted_access],
        "tags": dict(metadata.tags),
        "audited": metadata.audited,
        "institution": metadata.institution,
        "collection": metadata.collection,
        "pipeline": metadata.pipeline_name,
        "workstation": metadata.workstation_name,
        "digitiser": metadata.digitiser,
        "date_asset_taken": _instant(metadata.date_asset_taken),
        "date_asset_finalised": _instant(metadata.date_asset_finalised),
        **(_of_v1_7(metadata) if profile == "v1_7" else _since_v2_6(metadata, profile)),
    }
    return body if update_user is None else {**body, "updateUser": update_user}


def _of_v1_7(metadata: Metadata) -> dict[str, Any]:
    return {
        "parent_guid": metadata.parent_guid,
        "subject": metadata.asset_subject,
        "funding": next(iter(metadata.funding), None),
        "specimens": [
            {
                **specimen.model_dump(exclude={"preparation_types", "role_restrictions"}),
                "preparation_type": next(iter(specimen.preparation_types), None),
            }
            for specimen in specimens_of(metadata)
        ],
    }


def _since_v2_6(metadata: Metadata, profile: Profile) -> dict[str, Any]:
    return {
        "parent_guids": list(metadata.parent_guids),
        "asset_subject": metadata.asset_subject,
        "funding": list(metadata.funding),
        "asset_specimen": [
            {
                "asset_guid": metadata.asset_guid,
                "specimen_pid": specimen.specimen_pid,
                "asset_preparation_type": next(iter(specimen.preparation_types), None),
                "asset_detached": False,
                "specimen": specimen.model_dump(mode="json"),
            }
            for specimen in specimens_of(metadata, profile)
        ],
        "complete_digitiser_list": list(metadata.complete_digitiser_list),
        "date_metadata_ingested": _instant(metadata.date_metadata_ingested),
        "camera_setting_control": metadata.camera_setting_control,
        "metadata_version": metadata.metadata_version,
        "metadata_source": metadata.metadata_source,
        "mos_id": metadata.mos_id,
        "make_public": metadata.make_public,
        "push_to_specify": metadata.push_to_specify,
        "issues": _issues(metadata),
        "legality": _legality(metadata),
        "external_publishers": [
            {"asset_guid": metadata.asset_guid, "name": publisher.name}
            for publisher in metadata.external_publishers
        ],
        "specify_attachment_remarks": metadata.specify_attachment_remarks,
        "specify_attachment_title": metadata.specify_attachment_title,
        "updating_pipeline": metadata.pipeline_name,
    }


def _issues(metadata: Metadata) -> list[dict[str, Any]] | None:
    """Null leaves ARS's own issues as they are. It refuses one without category or status."""
    complete = [issue for issue in metadata.issues if issue.category and issue.status]
    return [issue.model_dump(mode="json") for issue in complete] or None


def _legality(metadata: Metadata) -> dict[str, Any] | None:
    """Null leaves what ARS has as it is: that nothing is known here is no reason to empty it."""
    known = metadata.legality.model_dump(mode="json")
    return known if any(known.values()) else None


def _role(name: str) -> str:
    return name.upper().replace("-", "_").replace(" ", "_")


def _instant(moment: datetime | None) -> str | None:
    """UTC with a Z, which every version of ARS reads, and in which it answers."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
