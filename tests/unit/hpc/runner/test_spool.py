"""Where nodes have no network: each attempt finds its own grant among those of its batch."""

import json
from pathlib import Path

import pytest

from hpc.runner.batch import ManifestLine
from hpc.runner.errors import Refused
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
