"""The former release, out of the repository's own history, run beside the present one."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from functools import cached_property
from pathlib import Path

import pytest

from refinery import state
from refinery.addresses import Addresses, resolve
from tests.support.stack import Stack

ROOT = Path(__file__).parents[2]
COMMIT = "f0a02af"
"""The last one before the board, with the tables of revision 0021."""


def former_release(into: Path) -> Path:
    """Unpack it; its folder. The test is skipped where there is no such history."""
    known = ("git", "-C", str(ROOT), "cat-file", "-e", f"{COMMIT}^{{commit}}")
    if shutil.which("git") is None or subprocess.run(known, capture_output=True).returncode:
        pytest.skip(f"commit {COMMIT}, the former release, is not in this copy's history")
    packed = subprocess.run(
        ("git", "-C", str(ROOT), "archive", COMMIT), capture_output=True, check=True
    )
    folder = into / "former"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class FormerStack(Stack):
    """A system that runs the former release's code: its PYTHONPATH names that, before ours."""

    @cached_property
    def addresses(self) -> Addresses:
        """Where it answers; it has no board, and its Prefect asks nobody for a password."""
        return resolve(self.settings, {"board": 0, **state.read(self.settings).ports})

    def said(self, script: str, *words: str) -> str:
        """What a script prints that runs with that release's modules."""
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
