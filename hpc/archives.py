"""The runner and the agent, each as one file to send to a site: a zipapp, pure Python.

Same source and same Python here, same bytes, on any machine: sorted names, a fixed date, no
compression (zlib releases differ) and LF line ends. So the sha256 in its name says which one a
site holds. The runner's sources lie there compiled as well, for nothing else keeps what a Python
compiled of a zip: a site's Python of our version loads that, and any other compiles the source
each time. The agent starts once, under Pythons far older than ours: it goes as source alone.
"""

import hashlib
import importlib.util
import io
import marshal
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SHEBANG = b"#!/usr/bin/env python3\n"
UNCHECKED = 0b01
WITHOUT_REFERENCES = 2
OLDEST_DATE = (1980, 1, 1, 0, 0, 0)
HPC = Path(__file__).parent
RUNNER_MAIN = b"""\
import sys

if sys.version_info < (3, 11):
    sys.exit("the runner needs Python 3.11 or newer, this is " + sys.version.split()[0])

from hpc.runner.__main__ import end, main

end(main())
"""
AGENT_MAIN = b"""\
import sys

if sys.version_info < (3, 6):
    sys.exit("the agent needs Python 3.6 or newer, this is " + sys.version.split()[0])

from hpc.agent.__main__ import main

sys.exit(main())
"""
EMPTY = {"hpc/__init__.py": b""}
"""The packages around what is packed: they stay home."""
TAKEN_ALONG = {"scheduler": ("text.py", "torque.py", "lsf.py"), "runner": ("tail.py",)}
"""What of other rooms the agent takes along: as little of our own as it is itself."""


def build_runner(into: Path) -> Path:
    """Write `runner-<sha256>.pyz` in `into` unless it is there; its path.

    Raises OSError when `into` cannot be written.
    """
    sources = _sources((HPC / "runner").rglob("*.py"))
    compiled = {f"{name}c": _compiled(name, source) for name, source in sources.items()}
    return _written("runner", into, {"__main__.py": RUNNER_MAIN, **EMPTY, **sources, **compiled})


def build_agent(into: Path) -> Path:
    """Write `agent-<sha256>.pyz` in `into` unless it is there; its path.

    Raises OSError when `into` cannot be written.
    """
    along = [HPC / room / name for room, names in TAKEN_ALONG.items() for name in names]
    sources = _sources([*(HPC / "agent").rglob("*.py"), *along])
    packages = {**EMPTY, **{f"hpc/{room}/__init__.py": b"" for room in TAKEN_ALONG}}
    return _written("agent", into, {"__main__.py": AGENT_MAIN, **packages, **sources})


def _written(what: str, into: Path, members: Mapping[str, bytes]) -> Path:
    content = SHEBANG + _archive(members)
    path = into / f"{what}-{hashlib.sha256(content).hexdigest()}.pyz"
    if not path.exists():
        into.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.chmod(0o755)
        partial.replace(path)
    return path


def _sources(paths: Iterable[Path]) -> dict[str, bytes]:
    found = {f"hpc/{path.relative_to(HPC).as_posix()}": path.read_bytes() for path in paths}
    return {name: source.replace(b"\r\n", b"\n") for name, source in found.items()}


def _compiled(name: str, source: bytes) -> bytes:
    """A source as Python's own .pyc, which is not to be held against the source (PEP 552).

    Marshalled without references, whose number depends on what else this process holds.
    """
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    flags = UNCHECKED.to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    return header + marshal.dumps(code, WITHOUT_REFERENCES)


def _archive(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, OLDEST_DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name])
    return packed.getvalue()
