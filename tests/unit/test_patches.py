"""What a test replaces, it replaces for itself: a clock is the whole process's."""

import ast
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import patching

TESTS = Path(__file__).parents[1]
OF_ALL = re.compile(r"(^|\.)(time|asyncio|threading|datetime)$")


def replaced(path: Path) -> list[str]:
    """What a file's `setattr` and `patch` calls replace attributes of."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args
    ]
    return [_owner(call.args[0]) for call in calls if _patches(call.func)]


def _patches(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and called.attr in ("setattr", "object", "patch")


def _owner(target: ast.expr) -> str:
    if isinstance(target, ast.Constant) and isinstance(target.value, str):
        return target.value.rpartition(".")[0]
    return ast.unparse(target)


def test_no_test_changes_a_clock_for_servers_that_run_beside_it() -> None:
    """Such a server slept for eleven hours and kept the suite from ending (see `seen_by`)."""
    assert [
        f"{path}: {owner}"
        for path in sorted(TESTS.rglob("*.py"))
        for owner in replaced(path)
        if OF_ALL.search(owner)
    ] == []


@pytest.mark.parametrize(
    "line",
    [
        "monkeypatch.setattr(codes.time, 'monotonic', clock)",
        "patch.setattr(time, 'sleep', clock)",
        "monkeypatch.setattr('time.monotonic', clock)",
        "monkeypatch.setattr('refinery.drivers.asyncio.sleep', clock)",
    ],
)
def test_each_way_to_change_it_is_seen(line: str, tmp_path: Path) -> None:
    (path := tmp_path / "test_x.py").write_text(line)
    assert [owner for owner in replaced(path) if OF_ALL.search(owner)] != []


def test_what_one_module_sees_no_other_does(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.monotonic
    user = SimpleNamespace(time=time)
    patching.seen_by(monkeypatch, user, "time", monotonic=lambda: 7.0)  # type: ignore[arg-type]
    assert (user.time.monotonic(), user.time.sleep, time.monotonic) == (7.0, time.sleep, real)
    monkeypatch.undo()
    assert user.time is time
