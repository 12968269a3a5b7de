"""A DaSSCo server's configuration as its repository has it, and what becomes of it here."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hpc.runner.registry import names
from refinery.cli import app
from refinery.dassco.convert import import_dassco
from refinery.dassco.files import DasscoFileError
from schemas.pipeline.load import Pipeline, check_sites, check_together, load_pipelines
from schemas.sites import load_sites

SCRIPTS = "/work/dassco_23_request/testPIPEHERB0001/scripts/DaSSCo-Image-Refinery/src"
JOBS = {"job_1": "assetLoader", "job_2": "barcode", "job_3": "cropping", "job_4": "derivative"}
CONFIG: dict[str, Any] = {
    "pipeline_job_config.json": {
        "EXAMPLE": {"job_1": "test", "job_2": "ocr", "job_3": "label", "job_4": "spoof"},
        "PIPEHERB0001": JOBS,
        "PIPEPIOF0001": JOBS,
        "PIPEOCR": {"job_10": "ocr", "job_2": "barcode", "job_1": "assetLoader"},
    },
    "job_detail_config.json": {
        "barcode": {"time_est": "00:00:05", "script": "barcodeReader.sh"},
        "cropping": {"time_est": "00:00:30", "script": f"{SCRIPTS}/my scripts/cropping.sh"},
        "derivative": {"time_est": "00:00:30", "script": f"{SCRIPTS}/derivative.sh"},
        "ocr": {"time_est": "01:00:00", "script": f"{SCRIPTS}/ocr.sh"},
        "label": {"time_est": "01:00:00", "script": "path/to/script"},
    },
    "slurm_config.json": {
        "max_queued_jobs": 6,
        "parallel_jobs": 3,
        "max_expected_time": 2000,
        "job_list_script_path": "/work/dassco_23_request/ldam/job_list.sh",
        "initiate_script": f"{SCRIPTS}/assetLoader.sh",
        "clean_up_script": f"{SCRIPTS}/assetDeleter.sh",
        "upload_file_script": f"{SCRIPTS}/assetUploader.sh",
    },
    "throttle_config.json": {
        "max_assets_in_flight": 30,
        "max_sync_asset_count": 12,
        "total_max_asset_size_mb": 60000,
        "total_max_new_asset_size_mb": 20000,
        "total_max_derivative_size_mb": 30000,
        "total_max_reopened_share_size_mb": 77777777,
    },
    "workstations_config.json": {"WORKHERB0001": "", "WORKPIOF0001": "", "ti-ws-01xxx": ""},
    "ndrive_path_config.json": {"ndrive_path": "/work/data/Ndrive"},
    "ucloud_connection_config.json": {
        "ucloud": {
            "host": "hpc-type3.sdu.dk",
            "is_slurm": "true",
            "password": "s3cret",
            "port": "22",
            "status": "closed",
            "username": "put/in/environment/variable",
        }
    },
    "mail_config.json": {"test": {"server_host": "smtp.example", "server_port": 587}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ConfigFiles"
    made.mkdir()
    for name, value in CONFIG.items():
        (made / name).write_text(json.dumps(value, indent=2))
    return made


def moved(folder: Path) -> tuple[str, Path]:
    out = folder.parent / "deployments" / "imported"
    return import_dassco(folder, folder.parent, out, force=False), out


def pipelines(out: Path) -> dict[str, Pipeline]:
    path = out / "pipelines" / "dassco.yaml"
    found = load_pipelines(path.read_text(), str(path), names())
    check_together(found)
    check_sites(found, [site.name for site in load_sites((out / "sites.yaml").read_text(), "s")])
    return {pipeline.name: pipeline for pipeline in found}


def test_a_list_of_jobs_becomes_a_complete_pipeline_with_its_scripts(folder: Path) -> None:
    found = pipelines(moved(folder)[1])
    assert set(found) == {"PIPEHERB0001", "PIPEPIOF0001", "PIPEOCR", "DERIVATIVE"}
    herb = found["PIPEHERB0001"]
    assert [stage.key for stage in herb.stages] == [
        *("ingest", "create", "upload", "synchronise", "open_share"),
        *("assetLoader", "barcode", "cropping", "derivative", "clean_up", "finalise"),
    ]
    loader, crop = herb.stage("assetLoader"), herb.stage("cropping")
    values = {"guid": "g", "batch": "B 1", "link": "https://x/y z"}
    assert loader.run.words(values) == [
        *("bash", f"{SCRIPTS}/assetLoader.sh", "g", "B 1", "https://x/y z")
    ]
    assert crop.run.words(values) == ["bash", f"{SCRIPTS}/my scripts/cropping.sh", "g"]
    assert crop.on == ("ucloud",)
    assert herb.stage("barcode").writes == ("asset_subject", "barcode", "multi_specimen")
    assert herb.exclude[0].stages == ("cropping", "derivative")
    assert herb.emits == "DERIVATIVE"
    assert (
        found["DERIVATIVE"].stage("uploader").run.text
        == f"bash {SCRIPTS}/assetUploader.sh {{guid}}"
    )


def test_jobs_come_in_the_order_of_their_numbers(folder: Path) -> None:
    ocr = pipelines(moved(folder)[1])["PIPEOCR"]
    assert [stage.key for stage in ocr.stages][5:8] == ["assetLoader", "barcode", "ocr"]
    assert ocr.emits is None
    assert ocr.exclude[0].stages == ("ocr",)


def test_pipelines_with_the_same_jobs_are_written_once(folder: Path) -> None:
    text = (moved(folder)[1] / "pipelines" / "dassco.yaml").read_text()
    assert text.count("cropping.sh") == 1
    assert '{<<: *stages-1, pipeline: "PIPEPIOF0001"}' in text


def test_a_site_is_closed_until_it_is_completed(folder: Path) -> None:
    sites = load_sites((moved(folder)[1] / "sites.yaml").read_text(), "sites.yaml")
    assert [(site.name, site.open) for site in sites] == [("local", True), ("ucloud", False)]
    assert sites[1].scripts == SCRIPTS


def test_settings_name_what_was_written(folder: Path) -> None:
    text = (moved(folder)[1] / "refinery.toml").read_text()
    assert 'pipelines = "deployments/imported/pipelines"' in text
    assert (
        "archive_throttle = {assets_in_flight = 30, synchronising = 12, open_shares_mb = 60000, "
        "new_assets_mb = 20000, derivatives_mb = 30000}"
    ) in text
    assert 'workstations = ["WORKHERB0001", "WORKPIOF0001", "ti-ws-01xxx"]' in text
    assert 'n_drive = "/work/data/Ndrive"' in text


@pytest.mark.parametrize(
    "said",
    [
        "pipeline EXAMPLE is left out: job 'test' has no script: write its path in "
        "job_detail_config.json, test.script",
        "cropping: could write any metadata",
        "max_assets_in_flight: was only counted there",
        "total_max_reopened_share_size_mb: 77777777 bounds nothing here",
        "max_queued_jobs: 6 was never applied",
        "host hpc-type3.sdu.dk, port 22",
        "nothing is mailed from here",
        "## ssh_connections_config.json\n- is not there",
    ],
)
def test_the_report_names_what_has_no_equivalent(folder: Path, said: str) -> None:
    report, out = moved(folder)
    assert said in report
    assert (out / "report.md").read_text() == report
    assert "s3cret" not in report


def test_a_drive_of_windows_is_left_for_a_person(folder: Path) -> None:
    (folder / "ndrive_path_config.json").write_text('{"ndrive_path": "n:/SCI-SNM/DaSSCo"}')
    report, out = moved(folder)
    assert "n:/SCI-SNM/DaSSCo: mount it on this host" in report
    assert "n_drive" not in (out / "refinery.toml").read_text()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pipeline_job_config.json", "{\n 'A': 1}", r"pipeline_job_config.json, line 2: not JSON"),
        ("pipeline_job_config.json", '{"A": ["x"]}', "A: not a mapping"),
        ("pipeline_job_config.json", '{"A": {"first": "x"}}', "A.first: .* rename it"),
        ("pipeline_job_config.json", '{"A": {"job_1": 5}}', "A.job_1: 5 is no text"),
        ("pipeline_job_config.json", '{"A": {"job_1": "test"}}', "no pipeline can be imported"),
        ("job_detail_config.json", '{"ocr": {"script": ["a"]}}', "ocr.script: .* is no text"),
        ("ucloud_connection_config.json", '{"u c": {"host": "h"}}', "'u c': no name for a site"),
        ("ucloud_connection_config.json", '{"u": {"port": "x"}}', "u.port: 'x' is no number"),
    ],
)
def test_a_file_that_is_not_as_theirs_is_refused_by_field(
    folder: Path, name: str, text: str, said: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DasscoFileError, match=said):
        moved(folder)
    assert not (folder.parent / "deployments").exists()


def test_what_exists_is_written_over_with_force_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    asked = ["import-dassco", str(folder)]
    first = CliRunner().invoke(app, asked)
    assert first.exit_code == 0, first.output
    sites = folder.parent / "deployments" / "imported" / "sites.yaml"
    sites.write_text("mine")
    second = CliRunner().invoke(app, asked)
    assert second.exit_code == 1 and "--force" in str(second.exception)
    assert sites.read_text() == "mine"
    assert CliRunner().invoke(app, [*asked, "--force"]).exit_code == 0
    assert "ucloud" in sites.read_text()


def test_a_folder_without_pipelines_is_refused_with_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(DasscoFileError, match="IntegrationServer/ConfigFiles"):
        import_dassco(tmp_path, tmp_path, tmp_path / "out", force=False)
