"""Imports go one way, and importing anything is free: no I/O, no look at the environment."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "flows", "tasks", "blocks", "track", "hpc", "api", "board", "schemas", "workstation",
    "refinery", "demo",
)  # fmt: skip
MAY_IMPORT = {
    "flows": {"tasks", "track", "blocks", "schemas"},
    "tasks": {"track", "hpc", "blocks", "schemas"},
    "api": {"track", "hpc", "blocks", "schemas"},
    "board": {"tasks", "track", "blocks", "schemas"},
    "track": {"schemas"},
    "hpc": {"track", "schemas"},
    "blocks": {"schemas"},
    "workstation": {"schemas"},
    "schemas": set(),
    "refinery": set(ROOMS) - {"demo"},
    "demo": set(ROOMS),
}
FROM_HPC_TO_API = {"hpc.agent_protocol", "hpc.callers", "hpc.protocol", "hpc.tokens"}
BELOW = {
    "track": ("schema", "records", "jobs", ("commands", "reports")),
    "tasks": (
        ("errors", "background", "log_lines"), "files", "dispatch", ("intake", "archive"), "upkeep",
    ),
    "hpc": (
        ("runner", "scheduler", "transport", "tokens"), "agent",
        ("remote", "ends", "manifest", "archives"),
        "callers", "protocol", ("agent_protocol", "sites"),
    ),
    "hpc.sites": (
        ("faults", "lock", "retries", "scripts", "transfers"),
        ("collect", "driver", "retrieval", "shipping"), ("slurm", "local"),
    ),
    "hpc.runner": (
        "errors", "job", ("client", "imaging"), "source", "modules", ("registry", "runner"),
    ),
    "schemas": ("metadata", "pipeline"),
    "board": (
        ("rendering", "visitors", "charts", "disks"), "login", "context", ("errors", "live"),
        "pages", "app",
    ),
    "api": (
        "bodies", "outputs", "context", ("callers", "archive"), "legacy",
        ("clusters", "workstations"),
    ),
    "api.workstations": (
        "refusals", ("folders", "receiving", "logins", "form_parts"), "context",
        ("callers", "stored", "ending"), "tus",
        ("upload", "sessions", "verify", "problems", "upkeep"), "app",
    ),
    "refinery": (
        ("settings", "processes", "postgres_home"), "state", "addresses", "connections", "drivers",
        ("services", "announcer"), "local", "cli",
    ),
    "workstation": (
        "problems", "places", ("files", "watching"), "images", "session", "journal", "server",
        "ingest", ("terminal", "page"), "command",
    ),
    "demo": (
        ("lab", "specimens"), ("judgement", "strikes", "workstation"), "run", "campaign",
        "__main__",
    ),
}  # fmt: skip
"""The order inside a room, the lowest first: files by name, sub-rooms by theirs. Sub-rooms beside
each other import nothing of each other; files beside each other may, but make no circle."""


SQL_OUTSIDE_TRACK = {
    "hpc.sites.lock": "the lock is a psycopg connection of its own, asked again and again",
    "refinery.doctor": "it asks a database that may not have our tables yet",
    "refinery.local.postgres": "it makes the databases on a server of its own",
    "refinery.local.backup": "it drops a database before its dump is restored",
    "workstation.journal.tables": "they are of the workstation's own database, as below",
    "workstation.journal.journal": "its SQLite database is the workstation's own, without a server",
    "demo": "its archive has a database of its own, and its judges look at ours from outside",
}
"""The modules and rooms that may hold SQL though they are not `track`, and why."""

STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|LISTEN|NOTIFY|SHOW|CREATE|ALTER|DROP)\s"
)
TABLES = "track.schema.tables"
STATEMENTS = {"text", "select", "insert", "update", "delete", "func"}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {dotted(path): path for path in modules()}


def imported(path: Path) -> set[str]:
    """The dotted names of our own modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {part if part in NAMES else node.module for part in parts}
    return {name for name in names if name.partition(".")[0] in ROOMS}


IMPORTS = {name: imported(path) & NAMES.keys() - {name} for name, path in NAMES.items()}


def named_as_data(path: Path) -> set[str]:
    """The rooms that a file reaches into by a path or a name in a text, not by an import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found |= {text for text in (text_of(node.left), text_of(node.right)) if text in ROOMS}
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in (
                "files",
                "import_module",
                "Path",
                "joinpath",
                "glob",
                "open",
                "read_text",
            ):
                room = re.split(r"[./]", text_of(node.args[0]) or "")[0]
                found |= {room} & set(ROOMS)
    return found


def sql_of(path: Path) -> set[str]:
    """What of SQL a file holds: statements as texts, what makes them, and the tables' names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names}
            if node.module.partition(".")[0] == "sqlalchemy":
                found |= names & STATEMENTS
            if node.module.startswith(TABLES) or "tables" in names:
                found.add(TABLES)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if STATEMENT.match(node.value) else set()
    return found


def text_of(node: ast.expr) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def test_a_room_imports_only_the_rooms_below_it() -> None:
    wrong = {}
    for name, path in NAMES.items():
        room = name.partition(".")[0]
        rooms = {each.partition(".")[0] for each in imported(path)} | named_as_data(path)
        if not rooms <= MAY_IMPORT[room] | {room}:
            wrong[name] = rooms
    assert not wrong


def part_of(room: str, name: str) -> str | None:
    """The file or sub-room of a room that a module belongs to; None: to another room."""
    return name.removeprefix(f"{room}.").partition(".")[0] if name.startswith(f"{room}.") else None


@pytest.mark.parametrize(
    "room", [*ROOMS, "hpc.sites", "hpc.runner", "tasks.archive", "api.workstations"]
)
def test_inside_a_room_there_is_no_circle_between_files_or_sub_rooms(room: str) -> None:
    within = {name: needs for name, needs in IMPORTS.items() if part_of(room, name)}
    TopologicalSorter(within).prepare()
    parts: dict[str, set[str]] = {}
    for name, needs in within.items():
        mine = str(part_of(room, name))
        others = {part for need in needs if (part := part_of(room, need)) not in (None, mine)}
        parts.setdefault(mine, set()).update(str(other) for other in others)
    TopologicalSorter(parts).prepare()


@pytest.mark.parametrize("room", BELOW)
def test_inside_a_room_nothing_points_upward(room: str) -> None:
    order = {
        part: height
        for height, level in enumerate(BELOW[room])
        for part in ((level,) if isinstance(level, str) else level)
    }
    parts = {part_of(room, name) for name in NAMES}
    assert order.keys() <= parts, "the order names what is not there"
    upward = [
        f"{name} imports {need}"
        for name, needs in IMPORTS.items()
        for need in sorted(needs)
        if order.get(str(part_of(room, name)), -1) >= 0
        and order.get(str(part_of(room, need)), -1) > order[str(part_of(room, name))]
    ]
    assert not upward


@pytest.mark.parametrize("room", BELOW)
def test_sub_rooms_beside_each_other_import_nothing_of_each_other(room: str) -> None:
    for level in BELOW[room]:
        beside = () if isinstance(level, str) else level
        folders = {part for part in beside if (ROOT / room.replace(".", "/") / part).is_dir()}
        sideways = [
            f"{name} imports {need}"
            for name, needs in IMPORTS.items()
            for need in sorted(needs)
            if (mine := part_of(room, name)) in folders
            and (other := part_of(room, need)) in folders
            and mine != other
        ]
        assert not sideways


def test_the_stages_know_the_archive_as_a_tier_and_the_database_through_track() -> None:
    for name, needs in IMPORTS.items():
        if name.startswith(("flows.", "tasks.")) and not name.startswith("tasks.archive.ars"):
            ars = {need for need in needs if need.startswith(("blocks.ars", "tasks.archive.ars"))}
            assert not ars or name == "tasks.archive.configured", name
        if name.startswith("tasks.archive."):
            assert not [need for need in needs if need.startswith(TABLES)], name


def test_only_track_holds_sql() -> None:
    allowed = {"track", *SQL_OUTSIDE_TRACK}
    elsewhere = {
        name: sql
        for name, path in NAMES.items()
        if not allowed & {name, name.partition(".")[0]} and (sql := sql_of(path))
    }
    assert not elsewhere


@pytest.mark.parametrize("room", SQL_OUTSIDE_TRACK)
def test_no_exception_is_left_that_holds_no_sql(room: str) -> None:
    assert any(sql_of(path) for name, path in NAMES.items() if f"{name}.".startswith(f"{room}."))


def test_nothing_of_the_production_imports_the_demonstration() -> None:
    for name, needs in IMPORTS.items():
        if not name.startswith("demo"):
            assert not {need for need in needs if need.startswith("demo")}, name


def test_the_apis_know_of_the_clusters_only_the_protocol() -> None:
    for path in (ROOT / "api").rglob("*.py"):
        hpc = {name for name in imported(path) if name.startswith("hpc.")}
        assert {".".join(name.split(".")[:2]) for name in hpc} <= FROM_HPC_TO_API, path


def test_what_runs_on_a_cluster_imports_nothing_of_ours() -> None:
    for path in (ROOT / "hpc" / "runner").rglob("*.py"):
        assert all(name.startswith("hpc.runner") for name in imported(path)), path


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
        dotted(path)
        for path in modules()
        if "migrations" not in path.parts and path.name != "__main__.py"
    ]
    command = [sys.executable, "-c", PROGRAM, f"{ROOT}/", *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
