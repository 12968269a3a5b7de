import json
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from demo.specimens.folders import FolderError, session_folder
from demo.specimens.sessions import (
    DIGITISER,
    Fault,
    SampleSession,
    SpecimenEnd,
    write_sample_session,
)
from schemas.guid import Guid
from schemas.metadata.document import read_document
from schemas.metadata.errors import MetadataError
from schemas.metadata.names import FIELDS

NOW = datetime(2026, 11, 21, 10, 15, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SampleSession:
    return write_sample_session(tmp_path_factory.mktemp("ndrive"), now=NOW, seed=3)


def documents(session: SampleSession) -> dict[str, dict[str, object]]:
    return {
        guid: json.loads((session.path / f"{guid}.json").read_text(encoding="utf-8"))
        for guid, expected in session.expectations.items()
        if expected.fault is not Fault.BROKEN_JSON
    }


def test_the_eight_lie_in_pairs_in_a_folder_named_by_the_time(session: SampleSession) -> None:
    assert session.path.parent.name == "WORKHERB0001"
    assert [folder.name for folder in session.path.parent.iterdir()] == ["2026-11-21_10-15-00"]
    wanted = {f"{guid}.json" for guid in session.expectations}
    wanted |= {expected.file_name for expected in session.expectations.values()}
    assert {path.name for path in session.path.iterdir()} == wanted
    assert len(wanted) == 16


def test_six_are_to_be_finalised_and_the_two_broken_ones_quarantined(
    session: SampleSession,
) -> None:
    ends = [(expected.end, expected.fault) for expected in session.expectations.values()]
    assert ends.count((SpecimenEnd.FINALISED, None)) == 6
    assert (SpecimenEnd.QUARANTINED, Fault.BROKEN_JSON) in ends
    assert (SpecimenEnd.QUARANTINED, Fault.TRUNCATED_IMAGE) in ends


def test_every_code_is_read_from_the_whole_frame_of_its_file(session: SampleSession) -> None:
    kinds = set()
    for expected in session.expectations.values():
        if expected.fault is Fault.TRUNCATED_IMAGE:
            continue
        with Image.open(session.path / expected.file_name) as image:
            found = zxingcpp.read_barcodes(image.convert("L"))
        assert {code.text for code in found} == {code.text for code in expected.codes}
        kinds |= {str(code.format).replace(" ", "") for code in found}
    assert kinds == {"QRCode", "DataMatrix", "Code128"}


def test_guids_tell_the_capture_time_and_are_all_different(session: SampleSession) -> None:
    guids = [Guid.parse(guid) for guid in session.expectations]
    assert len({guid.random for guid in guids}) == 8
    for guid, document in documents(session).items():
        taken = datetime.fromisoformat(str(document["date_asset_taken"]))
        assert taken.tzinfo is not None
        assert Guid.parse(guid).captured == taken.replace(tzinfo=None)
        assert taken < NOW


def test_documents_are_in_both_versions_and_use_their_names(session: SampleSession) -> None:
    versions = []
    for guid, document in documents(session).items():
        assert document["asset_guid"] == guid
        assert document["digitiser"] == DIGITISER == "Søren Ærøskøbing"
        assert (document["institution"], document["collection"]) == ("NHMD", "Vascular plants")
        assert document["pipeline_name"] == "PIPEHERB0001"
        if document.get("metadata_version") == "v3.0.4":
            assert set(document) <= FIELDS
            versions.append(3)
        else:
            assert len(document) == 38
            assert document["tags"] == {"metadataTemplate": "v2_1_0"}
            versions.append(2)
    assert versions.count(3) >= 1
    assert versions.count(2) > versions.count(3)


def test_every_sound_document_is_read_as_metadata_and_the_broken_one_refused(
    session: SampleSession,
) -> None:
    for guid, expected in session.expectations.items():
        raw = (session.path / f"{guid}.json").read_bytes()
        if expected.fault is Fault.BROKEN_JSON:
            with pytest.raises(MetadataError):
                read_document(raw)
            continue
        metadata = read_document(raw).metadata
        assert metadata.asset_guid == guid
        assert metadata.digitiser == DIGITISER
        assert list(metadata.preparation_type) == ["sheet"]


def test_letters_are_written_as_they_are(session: SampleSession) -> None:
    for guid in documents(session):
        assert "Søren Ærøskøbing" in (session.path / f"{guid}.json").read_text(encoding="utf-8")


def test_a_label_gains_the_barcode_of_the_specimen_it_is_linked_to(
    session: SampleSession,
) -> None:
    specimen, label = (e for e in session.expectations.values() if e.disposable)
    assert (specimen.subject, label.subject) == ("specimen", "label")
    assert specimen.disposable == label.disposable
    assert specimen.links == (label.guid,) and label.links == (specimen.guid,)
    assert label.barcodes == specimen.barcodes and len(label.barcodes) == 1
    assert label.label_lines == specimen.label_lines


def test_two_barcodes_make_a_multi_specimen_and_a_target_has_none(session: SampleSession) -> None:
    (multi,) = (e for e in session.expectations.values() if e.multi_specimen)
    assert len(multi.barcodes) == 2
    (target,) = (e for e in session.expectations.values() if e.subject == "device target")
    assert target.barcodes == () and target.derivatives == ()
    assert multi.derivatives == (400, 72)


def test_the_broken_ones_are_broken_as_said(session: SampleSession) -> None:
    for expected in session.expectations.values():
        text = (session.path / f"{expected.guid}.json").read_text(encoding="utf-8")
        with Image.open(session.path / expected.file_name) as image:
            if expected.fault is Fault.TRUNCATED_IMAGE:
                with pytest.raises(OSError, match="truncated"):
                    image.load()
            else:
                image.load()
        if expected.fault is Fault.BROKEN_JSON:
            with pytest.raises(json.JSONDecodeError):
                json.loads(text)


def test_once_writes_one_plain_specimen_and_repeats_to_the_byte(tmp_path: Path) -> None:
    sums = []
    for name in ("a", "b"):
        session = write_sample_session(tmp_path / name, now=NOW, seed=9, once=True)
        (expected,) = session.expectations.values()
        sums.append([(p.name, zlib.crc32(p.read_bytes())) for p in sorted(session.path.iterdir())])
    assert sums[0] == sums[1] and len(sums[0]) == 2
    assert (
        expected.end is SpecimenEnd.FINALISED and len(expected.barcodes) == 1 and not expected.links
    )


@pytest.mark.parametrize("prefix", ["", "new_", "imported_", "error_"])
def test_a_name_in_use_is_refused_and_left_alone(tmp_path: Path, prefix: str) -> None:
    taken = tmp_path / "W" / f"{prefix}2026-11-21_10-15-00"
    taken.mkdir(parents=True)
    with pytest.raises(FolderError, match="exists already"), session_folder(tmp_path, "W", NOW):
        pass
    assert list((tmp_path / "W").iterdir()) == [taken]


def test_a_session_broken_off_keeps_its_unfinished_name(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), session_folder(tmp_path, "W", NOW) as folder:
        assert folder.name.startswith("new_")
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "W").iterdir()] == ["new_2026-11-21_10-15-00"]


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no zone"):
        write_sample_session(tmp_path, now=NOW.replace(tzinfo=None))
