"""What workstations choose from: read when it changes, and held against what there is."""

import logging
import os
from pathlib import Path

import pytest

from refinery.definitions import read_pipelines, warn_of_values
from refinery.doctor import at_rest
from refinery.offered import OfferedValues, ValuesUnreadable, check_values
from refinery.settings import Settings
from schemas.digitisation import DigitisationError, load_digitisation

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "deployments" / "workstations.yaml").read_text("utf-8")
WATCHED = Settings.load(ROOT, {}).workstations
PIPELINES = ("PIPEHERB0001", "PIPEPIOF0001")


@pytest.fixture
def file(tmp_path: Path) -> OfferedValues:
    values = OfferedValues(tmp_path / "deployments" / "workstations.yaml")
    values.path.parent.mkdir()
    values.path.write_text(TEXT, "utf-8")
    return values


def test_it_is_read_again_when_it_changes_and_only_then(file: OfferedValues) -> None:
    first = file.read()
    assert file.read() is first
    draft = file.path.with_name("draft")
    draft.write_text(TEXT.replace("WORKHERB0001", "WORKHERB0009"), "utf-8")
    # As editors do it: also a change within one tick of the clock is seen.
    draft.replace(file.path)
    assert "WORKHERB0009" in {each.name for each in file.read().workstations}


def test_what_is_broken_is_named_with_its_line_until_it_is_mended(file: OfferedValues) -> None:
    assert file.read()
    for text, told in (
        (TEXT.replace("number: 12", "number: 11"), r"workstations\.yaml, line \d+: the number 11"),
        (TEXT.replace("institution: AU}", "institution: UA}", 1), "nearest is 'AU'"),
        ("institutions: [", r"workstations\.yaml, line \d+: not YAML"),
    ):
        file.path.write_text(text, "utf-8")
        for _ in range(2):
            with pytest.raises(DigitisationError, match=told):
                file.read()
    file.path.write_text(TEXT, "utf-8")
    assert file.read().collections


def test_what_is_not_there_or_no_text_is_named_with_what_to_do(file: OfferedValues) -> None:
    file.path.write_bytes("institutions: {Ø: 1}".encode("latin-1"))
    with pytest.raises(ValuesUnreadable, match=r"is not UTF-8; .*workstations_file names another"):
        file.read()
    file.path.unlink()
    with pytest.raises(ValuesUnreadable, match="No such file") as caught:
        file.read()
    assert str(file.path) in str(caught.value)
    file.path.mkdir()
    with pytest.raises(ValuesUnreadable, match="cannot be read: Is a directory"):
        file.read()


def test_the_values_that_are_shipped_name_what_is_there() -> None:
    pipelines = [each.name for each in read_pipelines(Settings.load(ROOT, {}))]
    assert check_values(load_digitisation(TEXT, "w"), pipelines, WATCHED) == []


def test_a_pipeline_of_no_file_and_a_folder_that_nobody_watches_are_named_with_the_nearest() -> (
    None
):
    values = load_digitisation(TEXT, "w")
    problems = check_values(values, PIPELINES[:1], [*WATCHED[1:], "WORKHERB001"])
    assert problems == [
        "collections, NHMD Entomology: no file has a pipeline 'PIPEPIOF0001'; nearest is "
        "'PIPEHERB0001'",
        "workstations, WORKHERB0001: nobody watches its folder on the N-Drive; add it to the "
        "setting `workstations`; nearest is 'WORKHERB001'",
    ]
    assert check_values(values, PIPELINES, ["*"]) == []


def project(file: OfferedValues, **environment: str) -> Settings:
    folder = file.path.parents[1]
    pipelines = str(ROOT / "deployments" / "pipelines")
    return Settings.load(folder, {"REFINERY_PIPELINES": pipelines} | environment)


def test_the_doctor_says_who_is_offered_values_and_what_is_wrong_with_them(
    file: OfferedValues,
) -> None:
    def found(**environment: str) -> tuple[bool, str]:
        at = at_rest(project(file, **environment))
        finding = next(each for each in at if each.name == "workstations")
        return finding.well, finding.what

    assert found() == (True, f"6 are offered what stands in {file.path}")
    well, what = found(REFINERY_WORKSTATIONS="WORKHERB0001")
    assert not well and what.count("nobody watches its folder") == 5
    assert what.count(str(file.path)) == 5
    file.path.write_text(TEXT.replace("payload_types", "payload_typs"), "utf-8")
    well, what = found()
    assert not well and "unknown key 'payload_typs'; nearest is 'payload_types'" in what
    file.path.unlink()
    assert not found()[0]


def test_the_doctor_says_so_of_a_broken_pipeline_instead_of_breaking(
    file: OfferedValues, tmp_path: Path
) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "p.yaml").write_text("pipeline: [", "utf-8")
    at = {each.name: each for each in at_rest(project(file, REFINERY_PIPELINES=os.fspath(folder)))}
    for name in ("pipelines", "workstations"):
        assert not at[name].well and "p.yaml, line 1" in at[name].what


def test_a_start_goes_on_with_broken_values_and_the_log_warns(
    file: OfferedValues, caplog: pytest.LogCaptureFixture
) -> None:
    settings = project(file)
    pipelines = read_pipelines(settings)
    with caplog.at_level(logging.WARNING):
        warn_of_values(settings, pipelines)
        assert not caplog.messages
        warn_of_values(settings, pipelines[:1])
        file.path.unlink()
        warn_of_values(settings, pipelines)
    assert "no file has a pipeline" in caplog.messages[0]
    assert f"{file.path} cannot be read" in caplog.messages[1]
