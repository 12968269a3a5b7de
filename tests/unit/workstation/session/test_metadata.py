"""The document beside an image is one that ingest reads without a word."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from schemas.metadata.document import read_document
from tasks.files.formats import is_meant
from tests.support.camera import CHOICES, NOW, VALUES
from workstation.images.capture_time import CaptureTime
from workstation.session.metadata import SessionFacts, metadata_document

GUID = "7ea-b-15-09-1e-00-1-001-01-000-00002a-00000"
SESSION = SessionFacts("2026-11-30T13.00.00_0a1b2c", NOW, CHOICES, VALUES, "1.2.3")
TAKEN = CaptureTime(datetime.fromisoformat("2026-11-21T09:30:00.250000-03:30"), "exif")


@pytest.mark.parametrize("name", ["a.TIF", "a.tiff", "a.jpg", "a.jpeg", "a.DNG"])
def test_ingest_reads_it_without_a_warning_and_knows_the_image_by_it(name: str) -> None:
    content = metadata_document(SESSION, GUID, TAKEN, Path(name))
    arrived = read_document(content, file=f"{GUID}.json")
    assert arrived.warnings == () and arrived.version == "3"
    found = arrived.metadata
    assert found.file_format is not None
    assert is_meant(f"{GUID}{Path(name).suffix.lower()}", found.file_format)
    assert (found.asset_guid, found.session_id) == (GUID, SESSION.name)
    assert found.date_asset_taken == TAKEN.when
    assert found.metadata_created_by == "refinery ingest 1.2.3"
    assert found.metadata_version == "3.0.4"
    assert found.issues == ()


def test_what_was_chosen_is_in_it_and_no_digitiser_twice() -> None:
    chosen = CHOICES.model_copy(update={"other_digitisers": ("Åse", CHOICES.digitiser)})
    session = SessionFacts("s", NOW, chosen, VALUES, "1")
    document = json.loads(metadata_document(session, GUID, TAKEN, Path("a.tif")))
    assert document["collection"] == "NHMD Vascular Plants"
    assert document["institution"] == "NHMD"
    assert document["workstation_name"] == "WORKHERB0001"
    assert document["pipeline_name"] == "PIPEHERB0001"
    assert document["preparation_type"] == ["sheet"]
    assert document["funding"] == ["DaSSCo"]
    assert document["payload_type"] == "image"
    assert document["digitiser"] == "Søren Ærøskøbing"
    assert document["complete_digitiser_list"] == ["Søren Ærøskøbing", "Åse"]
    assert document["date_asset_taken"] == "2026-11-21T09:30:00.250000-03:30"


def test_a_doubtful_capture_time_is_an_issue_for_a_person() -> None:
    doubtful = CaptureTime(TAKEN.when, "file", "its file's time is used")
    arrived = read_document(metadata_document(SESSION, GUID, doubtful, Path("a.tif")))
    (issue,) = arrived.metadata.issues
    assert issue.description == "its file's time is used" and not issue.solved
    assert arrived.warnings == ()


def test_danish_letters_are_written_as_they_are() -> None:
    assert "Søren Ærøskøbing".encode() in metadata_document(SESSION, GUID, TAKEN, Path("a.tif"))
