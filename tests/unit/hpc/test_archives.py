"""One file, the same bytes for the same source, run by a Python that has nothing of ours."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from hpc.archives import TAKEN_ALONG, build_agent, build_runner


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = build_runner(tmp_path / "a"), build_runner(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    assert first.name == f"runner-{digest}.pyz"


def test_it_is_built_once(tmp_path: Path) -> None:
    first = build_runner(tmp_path)
    before = first.stat().st_mtime_ns
    assert build_runner(tmp_path).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_it_holds_the_runner_and_nothing_else_of_ours(tmp_path: Path) -> None:
    names = zipfile.ZipFile(build_runner(tmp_path)).namelist()
    assert {"__main__.py", "hpc/__init__.py", "hpc/runner/modules/barcode.py"} <= set(names)
    assert all(name.startswith("hpc/runner/") for name in names[1:] if name != "hpc/__init__.py")


def test_an_isolated_python_runs_it_from_any_folder(tmp_path: Path) -> None:
    """-S and -I: no site packages, so neither our tree nor an imaging library is there."""
    runner = build_runner(tmp_path)
    manual = subprocess.run(
        [sys.executable, "-I", "-S", runner, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert manual.returncode == 0
    assert "exit codes" in manual.stdout
    check = subprocess.run(
        [sys.executable, "-I", "-S", runner, "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert check.returncode == 78
    modules = json.loads(check.stdout)["modules"]
    assert modules["load"]["missing"] == []
    assert "rapidocr" in modules["ocr"]["missing"]


def test_what_lies_there_compiled_does_not_depend_on_the_process(tmp_path: Path) -> None:
    build = "import sys, pathlib, hpc.archives as a; print(a.build_runner(pathlib.Path('.')))"
    names = {
        subprocess.run(
            [sys.executable, "-c", build],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(names | {f"{build_runner(tmp_path).name}\n"}) == 1


def test_a_python_of_another_version_runs_the_sources(tmp_path: Path) -> None:
    runner = build_runner(tmp_path / "ours")
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(runner) as ours, zipfile.ZipFile(other, "w") as theirs:
        for name in ours.namelist():
            content = ours.read(name)
            theirs.writestr(name, b"????" + content[4:] if name.endswith(".pyc") else content)
    command = [sys.executable, "-I", "-S", other, "--help"]
    manual = subprocess.run(command, capture_output=True, text=True)
    assert (manual.returncode, "exit codes" in manual.stdout) == (0, True)


def test_a_process_that_is_done_ends_at_once_with_its_code_and_its_words() -> None:
    use = "import threading; from hpc.runner.__main__ import end"
    left = "threading.Thread(target=threading.Event().wait).start()"
    ended = subprocess.run(
        [sys.executable, "-c", f"{use}; {left}; print('words'); end(3)"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "words\n", "")


def test_the_agent_too_is_one_file_of_the_same_bytes(tmp_path: Path) -> None:
    first, second = build_agent(tmp_path / "a"), build_agent(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    assert first.name == f"agent-{digest}.pyz"


def test_the_agent_takes_along_what_is_named_and_nothing_else_of_ours(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(build_agent(tmp_path)).namelist())
    assert {"hpc/agent/__main__.py", "hpc/scheduler/torque.py", "hpc/scheduler/lsf.py"} <= names
    packages = {f"hpc/{room}/__init__.py" for room in TAKEN_ALONG}
    around = {"__main__.py", "hpc/__init__.py", *packages}
    texts = {f"hpc/{room}/{name}" for room, names in TAKEN_ALONG.items() for name in names}
    assert {name for name in names - around - texts if not name.startswith("hpc/agent/")} == set()


def test_an_isolated_python_shows_the_agents_manual(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", build_agent(tmp_path), "--help"]
    manual = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (manual.returncode, "exit codes" in manual.stdout) == (0, True)
