"""Where nodes have no network: each attempt finds its own grant among those of its batch."""

import json
from pathlib import Path

import pytest

from hpc.runner.batch import ManifestLine
from hpc.runner.errors import Refused
from hpc.runner.runner import Runner
from hpc.runner.spool import Spool


def spool(folder: Path, index: int) -> Spool:
    line = ManifestLine(index, index + 7, 1, f"g{index}", "ocr", "ocr", "", Path("/site"), "")
    return Spool(folder, line, "n1")


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_no_character_in_one_specimens_texts_moves_anothers_grant(tmp_path: Path, odd: str) -> None:
    grants = [{"guid": "g0", "metadata": {"locality": f"up{odd}down"}}, {"guid": "g1"}]
    text = "".join(json.dumps(grant, ensure_ascii=False) + "\n" for grant in grants)
    (tmp_path / "grants.jsonl").write_text(text, encoding="utf-8")
    assert [spool(tmp_path, index).start("x") for index in (0, 1)] == grants


def test_a_batch_without_a_grant_for_a_line_is_refused_and_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        spool(tmp_path, 0).start("x")
    (tmp_path / "grants.jsonl").write_text("{}\n")
    with pytest.raises(Refused, match="line 1"):
        spool(tmp_path, 1).start("x")
    assert not (tmp_path / "started").exists()


NOBODY = "http://127.0.0.1:1"
"""An address where nobody listens."""


def run_clean(folder: Path, callback: str) -> int:
    """Run one line whose module removes its asset's folder; the exit code."""
    line = ManifestLine(0, 7, 1, "g0", "clean", "clean", callback, folder.parent, "token")
    folder.mkdir(exist_ok=True)
    return Runner(folder, "n1", patience_s=0.0).run([line])


def test_where_the_grants_lie_start_and_outcome_stay_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    folder.mkdir()
    grant = {"attempt": 7, "guid": "g0", "params": {}, "metadata": {}}
    (folder / "grants.jsonl").write_text(json.dumps(grant) + "\n")
    (tmp_path / "assets" / "g0").mkdir(parents=True)
    assert run_clean(folder, NOBODY) == 0
    assert not (tmp_path / "assets" / "g0").exists()
    assert json.loads((folder / "results" / "7.json").read_text())["path"] == "/attempts/7/complete"


def test_without_grants_the_server_is_asked_and_nothing_is_touched_before(tmp_path: Path) -> None:
    (tmp_path / "assets" / "g0").mkdir(parents=True)
    assert run_clean(tmp_path / "batch", NOBODY) == 75
    assert (tmp_path / "assets" / "g0").exists()
