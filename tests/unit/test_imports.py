"""Imports go one way, and importing anything is free: no I/O, no look at the environment."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "flows", "tasks", "blocks", "track", "hpc", "api", "schemas", "workstation", "refinery", "demo",
)  # fmt: skip
MAY_IMPORT = {
    "flows": {"tasks", "track", "blocks", "schemas"},
    "tasks": {"track", "hpc", "blocks", "schemas"},
    "api": {"track", "hpc", "blocks", "schemas"},
    "track": {"schemas"},
    "hpc": {"track", "schemas"},
    "blocks": {"schemas"},
    "workstation": {"schemas"},
    "schemas": set(),
    "refinery": set(ROOMS),
    "demo": set(ROOMS),
}
FROM_HPC_TO_API = {"hpc.protocol", "hpc.tokens"}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The dotted names of our own rooms that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] in ROOMS}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    rooms = {name.partition(".")[0] for name in imported(path)}
    assert rooms <= MAY_IMPORT[room] | {room}


def test_the_apis_know_of_the_clusters_only_the_protocol() -> None:
    for path in (ROOT / "api").rglob("*.py"):
        hpc = {name for name in imported(path) if name.startswith("hpc.")}
        assert {".".join(name.split(".")[:2]) for name in hpc} <= FROM_HPC_TO_API, path


def test_what_runs_on_a_cluster_imports_nothing_of_ours() -> None:
    for path in (ROOT / "hpc" / "job").rglob("*.py"):
        assert all(name.startswith("hpc.job") for name in imported(path)), path


PROGRAM = """
import importlib, os, socket, sys
import fastapi, prefect.events, rapidocr, typer, uvicorn  # what others read is their affair

names, root = sys.argv[2:], sys.argv[1]

def refuse(*_, **__):
    raise AssertionError("a socket was opened at import")

class Environment(dict):
    def _check(self, key):
        file = sys._getframe(2).f_code.co_filename
        assert not file.startswith(root) or ".venv" in file, f"{file} reads {key} at import"
    def __getitem__(self, key):
        self._check(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        self._check(key)
        return super().get(key, default)

socket.socket.connect = refuse
os.environ = Environment(os.environ)
for name in names:
    importlib.import_module(name)
"""


def test_importing_everything_reads_no_environment_and_opens_nothing() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules()
        if "migrations" not in path.parts and path.name != "__main__.py"
    ]
    command = [sys.executable, "-c", PROGRAM, f"{ROOT}/", *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
