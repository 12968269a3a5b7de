"""What a module prints is kept and its end reported, also what it prints past Python."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpc.runner import runner as runners
from hpc.runner.batch import ManifestLine
from hpc.runner.job import Result, result
from hpc.runner.printed import printed_to
from hpc.runner.runner import Runner
from hpc.runner.tail import read_tail
from schemas.attempts import MAX_PRINTED, Complete, Fail


def test_streams_and_children_lead_to_the_file_within_the_block_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "0.output"
    os.write(1, b"before\n")
    with printed_to(path):
        os.write(1, b"from a library in C\n")
        sys.__stderr__.write("and from Python\n")  # type: ignore[union-attr]
        subprocess.run(["sh", "-c", "echo a child"], check=True)
    os.write(2, b"after\n")
    assert (read_tail(path) or "").splitlines() == [
        "from a library in C",
        "and from Python",
        "a child",
    ]
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("before\n", "after\n")


def test_no_work_fails_for_a_file_that_cannot_be_written_or_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with printed_to(tmp_path / "no" / "folder"):
        os.write(1, b"shown\n")
    assert capfd.readouterr().out == "shown\n"


def test_a_line_that_was_printed_is_there_although_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "0.output"
    source = (
        "import os, sys; from pathlib import Path; from hpc.runner.printed import printed_to\n"
        "with printed_to(Path(sys.argv[1])): print('looks at it'); os.kill(os.getpid(), 9)"
    )
    # Its streams lead to no terminal, as at a site: Python then holds back what is printed.
    given = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", source, str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=given)
    assert path.read_text() == "looks at it\n"


@pytest.mark.parametrize("fails", [False, True])
def test_an_outcome_brings_what_its_module_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def module(_: Any) -> Result:
        os.write(2, b"the label is blurred\n")
        if fails:
            raise RuntimeError("no text")
        return result()

    (tmp_path / "log").mkdir()
    monkeypatch.setattr(runners, "load_prepared", lambda _: SimpleNamespace(result=module))
    monkeypatch.setattr(runners, "job_of", lambda *_: SimpleNamespace(outputs=()))
    made = Runner(tmp_path, "4711")
    made._log = SimpleNamespace(write=lambda *_: None)  # type: ignore[assignment]
    monkeypatch.setattr(made, "_files", lambda *_: None)
    line = ManifestLine(0, 7, 1, "g", "ocr", "ocr", "", tmp_path, "token")
    outcome = made._outcome(line, {}, SimpleNamespace())  # type: ignore[arg-type]
    assert outcome is not None
    verb, body = outcome
    who = {"native_id": "4711", "nonce": "x"}
    if fails:
        assert verb == "fail" and Fail(**body, **who).printed == "the label is blurred"
    else:
        assert Complete(**body, **who).result.printed == "the label is blurred"


def test_the_server_takes_whatever_was_printed_and_keeps_it_out_of_the_messages_it_keeps() -> None:
    body = {"native_id": "n", "nonce": "x", "fail_status": "ERROR", "message": "m"}
    found = Fail.model_validate(body | {"printed": "x\0\ud800" + "y" * MAX_PRINTED})
    assert found.printed == "y" * MAX_PRINTED
    assert Fail.model_validate(body | {"printed": "a\0\ud800"}).printed == "a␀?"
    assert "printed" not in found.model_dump() and "yyy" not in repr(found)
    assert Fail.model_validate(body).printed == ""
