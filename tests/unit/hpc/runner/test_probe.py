"""What a doctor's job reports from a node, with the real runner beside it."""

import json
from pathlib import Path

import pytest

from hpc.archives import build_runner
from hpc.runner.probe import main
from hpc.sites.slurm.doctor import node_findings
from schemas.sites import Site
from tests.support.serving import free_port

SITE = Site.model_validate(
    {
        "site": "cluster",
        "kind": "slurm",
        "root": "/r",
        "python": "/p",
        "block": "b",
        "callback": "http://refinery.test:8000",
    }
)


def report(folder: Path, **asked: str) -> dict[str, object]:
    (folder / "results").mkdir()
    (folder / "manifest.jsonl").write_text(json.dumps(asked) + "\n")
    assert main(["--batch", str(folder), "--index", "0", "--native-id", "7_0"]) == 0
    found: dict[str, object] = json.loads((folder / "results" / "probe.json").read_text())
    return found


def test_it_tells_of_the_modules_and_of_an_address_that_nobody_answers(tmp_path: Path) -> None:
    runner = build_runner(tmp_path / "bin")
    found = report(tmp_path, runner=str(runner), callback=f"http://127.0.0.1:{free_port()}")
    told = {each.what: each for each in node_findings(SITE, found)}
    assert told["job"].well and told["modules"].well
    assert told["callback"].well is False
    assert "efused" in told["callback"].found


@pytest.mark.parametrize("text", ["import nothing_of_that_name", "print('no report')"])
def test_a_runner_that_cannot_run_is_told_and_not_a_mistake_of_the_probe(
    tmp_path: Path, text: str
) -> None:
    runner = tmp_path / "runner.pyz"
    runner.write_text(text)
    told = node_findings(SITE, report(tmp_path, runner=str(runner), callback=""))
    modules = next(each for each in told if each.what == "modules")
    assert modules.well is False
    assert modules.found


def test_what_modules_lack_is_named_once_with_the_remedy() -> None:
    lacking = {"crop": ["pyvips"], "ocr": ["rapidocr", "pyvips"]}
    found = {"host": "n1", "python": "3.11.2", "modules": {"missing": lacking}, "callback": ""}
    told = {each.what: each for each in node_findings(SITE, found)}
    assert told["modules"].found == "lacks pyvips, rapidocr"
    assert told["modules"].remedy == "operate/prepare-site"
