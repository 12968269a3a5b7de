"""The runner as one file to send to a site: a zipapp of `hpc/runner`, pure Python.

Same source and same Python here, same bytes, on any machine: sorted names, a fixed date, no
compression (zlib releases differ) and LF line ends. So the sha256 in its name says which runner a
site holds. Each source lies there compiled as well, for nothing else keeps what a Python compiled
of a zip: a site's Python of our version loads that, and any other compiles the source each time.
"""

import hashlib
import importlib.util
import io
import marshal
import os
import zipfile
from pathlib import Path

SHEBANG = b"#!/usr/bin/env python3\n"
UNCHECKED = 0b01
WITHOUT_REFERENCES = 2
OLDEST_DATE = (1980, 1, 1, 0, 0, 0)
MAIN = b"""\
import sys

if sys.version_info < (3, 11):
    sys.exit("the runner needs Python 3.11 or newer, this is " + sys.version.split()[0])

from hpc.runner.__main__ import end, main

end(main())
"""


def build_runner(into: Path) -> Path:
    """Write `runner-<sha256>.pyz` in `into` unless it is there; its path.

    Raises OSError when `into` cannot be written.
    """
    content = SHEBANG + _archive()
    path = into / f"runner-{hashlib.sha256(content).hexdigest()}.pyz"
    if not path.exists():
        into.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.chmod(0o755)
        partial.replace(path)
    return path


def _compiled(name: str, source: bytes) -> bytes:
    """A source as Python's own .pyc, which is not to be held against the source (PEP 552).

    Marshalled without references, whose number depends on what else this process holds.
    """
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    flags = UNCHECKED.to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    return header + marshal.dumps(code, WITHOUT_REFERENCES)


def _archive() -> bytes:
    """The zip. `hpc/__init__.py` is written empty: the package around the runner stays home."""
    runner = Path(__file__).parent / "runner"
    members = {"__main__.py": MAIN, "hpc/__init__.py": b""}
    for source in runner.rglob("*.py"):
        name = f"hpc/runner/{source.relative_to(runner).as_posix()}"
        members[name] = source.read_bytes().replace(b"\r\n", b"\n")
        members[f"{name}c"] = _compiled(name, members[name])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, OLDEST_DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name])
    return packed.getvalue()
