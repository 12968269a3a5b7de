"""The metadata document that travels beside an image: version 3.0.4, as ingest reads it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from schemas.digitisation import Values
from schemas.image_formats import format_of_name
from schemas.metadata.document import Metadata
from schemas.metadata.names import Issue
from workstation.images.capture_time import CaptureTime
from workstation.session.choices import Choices

VERSION = "3.0.4"
MIME_TYPES = {"tif": "image/tiff", "jpeg": "image/jpeg", "dng": "image/x-adobe-dng"}


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is the same in all documents of a session. `client`: the version that writes them."""

    name: str
    begun_at: datetime
    choices: Choices
    values: Values
    client: str


def metadata_document(
    session: SessionFacts, guid: str, captured: CaptureTime, image: Path
) -> bytes:
    """The document of one specimen as it is written to its file: JSON in UTF-8."""
    chosen, word = session.choices, format_of_name(image.name)
    digitisers = dict.fromkeys((chosen.digitiser, *chosen.other_digitisers))
    document = Metadata(
        asset_guid=guid,
        collection=chosen.collection,
        complete_digitiser_list=tuple(digitisers),
        date_asset_taken=captured.when,
        date_metadata_ingested=session.begun_at,
        digitiser=chosen.digitiser,
        file_format=word,
        funding=chosen.funding,
        institution=chosen.institution,
        issues=_issues(session, captured),
        metadata_created_by=f"refinery ingest {session.client}",
        metadata_source="workstation",
        metadata_version=VERSION,
        mime_type=MIME_TYPES.get(word or ""),
        payload_type=chosen.payload_type,
        pipeline_name=chosen.pipeline,
        preparation_type=(chosen.preparation_type,),
        session_id=session.name,
        workstation_name=session.values.workstation,
    )
    text = json.dumps(document.canonical(), ensure_ascii=False, indent=2)
    return text.encode() + b"\n"


def _issues(session: SessionFacts, captured: CaptureTime) -> tuple[Issue, ...]:
    """What a person should know of the capture time, if it is doubtful."""
    if not captured.warning:
        return ()
    doubt = Issue(
        category="metadata",
        name="capture time is doubtful",
        timestamp=session.begun_at.isoformat(timespec="seconds"),
        status="open",
        description=captured.warning,
    )
    return (doubt,)
