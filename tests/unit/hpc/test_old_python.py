"""What is copied to a cluster and run by the Python found there is Python 3.6, and stands alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hpc.archives import TAKEN_ALONG
from hpc.scheduler import text
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.states import JobState
from tests.unit.test_imports import ROOT, dotted, imported

SCHEDULERS = ("text", "torque", "lsf")
OLDEST = (3, 6)


def copied() -> list[Path]:
    """The files that are packed into an agent, as far as they are there."""
    hpc = ROOT / "hpc"
    along = [hpc / room / name for room, names in TAKEN_ALONG.items() for name in names]
    packages = [hpc / "__init__.py", *(hpc / room / "__init__.py" for room in TAKEN_ALONG)]
    return [*packages, *along, *sorted((hpc / "agent").rglob("*.py"))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def libraries(path: Path) -> set[str]:
    """The top-level names of all that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("hpc" if node.level else str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", copied(), ids=named)
def test_it_is_written_in_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)


def oldest_python(*paths: Path) -> subprocess.CompletedProcess[str]:
    """What vermin says of files, which fails for those that need a newer library."""
    vermin = Path(sys.executable).with_name("vermin")
    oldest = ".".join(str(part) for part in OLDEST)
    command = [vermin, f"-t={oldest}-", "--eval-annotations", "--no-tips", "--violations", *paths]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_uses_no_newer_library() -> None:
    done = oldest_python(*copied())
    assert done.returncode == 0, done.stdout


def test_a_newer_library_would_be_noticed(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text("import subprocess\nsubprocess.run(['true'], capture_output=True)\n")
    done = oldest_python(newer)
    assert done.returncode == 1
    assert "3.7" in done.stdout


@pytest.mark.parametrize("path", copied(), ids=named)
def test_it_needs_nothing_but_the_standard_library_and_what_is_copied_with_it(path: Path) -> None:
    assert libraries(path) <= sys.stdlib_module_names | {"hpc"}
    assert imported(path) <= {dotted(each) for each in copied()}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_imports_nothing_of_ours_but_what_all_of_them_share(name: str) -> None:
    found = imported(ROOT / "hpc" / "scheduler" / f"{name}.py")
    assert found <= ({"hpc.scheduler.text"} if name != "text" else set())


def test_its_words_for_states_and_outcomes_are_those_of_the_server() -> None:
    states = {
        *(text.PENDING, text.RUNNING, text.COMPLETED, text.FAILED, text.TIMEOUT),
        *(text.OUT_OF_MEMORY, text.NODE_FAIL, text.PREEMPTED, text.CANCELLED, text.UNKNOWN_STATE),
    }
    assert states == {state.value for state in JobState}
    outcomes = {text.KNOWN, text.UNKNOWN, text.REFUSED, text.FULL}
    assert outcomes < {outcome.value for outcome in SubmitOutcome}
