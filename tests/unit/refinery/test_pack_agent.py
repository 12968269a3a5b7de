"""The agent is written where one asks for it, ready to be run."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from refinery.cli import app


def test_the_file_that_is_named_runs(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["pack-agent", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (made,) = tmp_path.iterdir()
    assert made.name in done.output.replace("\n", "")
    command = [sys.executable, made, "run", "--home", tmp_path / "home", "--status"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, "join first" in said.stderr) == (78, True)
