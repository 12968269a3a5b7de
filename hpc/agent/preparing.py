"""Makes this machine's Python ready for the modules: a venv below the root, with their libraries.

The runner itself says what its modules need, and what of that is missing. What is there already
is left alone; the same again changes nothing.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from hpc.agent.claims import fetch_runner
from hpc.agent.config import AgentConfig, ConfigError, write_config
from hpc.agent.folders import SiteFolders
from hpc.agent.launching import runner_path
from hpc.agent.server import VERSION, ServerLink, TryLater

BUILD_S = 1800
"""Seconds that building a venv, or filling it, may take."""
CHECK_S = 300
MAX_WORDS = 600
WELL = 0
"""The runner's exit code when every module runs."""


class CheckAnswer(NamedTuple):
    """What a runner printed of a Python, and its exit code; None when it did not run."""

    code: Optional[int]
    out: str
    said: str


def prepare(
    home: Path, config: AgentConfig, link: ServerLink, base: str, wheelhouse: Optional[Path]
) -> List[str]:
    """Make the Python ready that runs the modules, and note it in agent.json; what was done.

    `base` is the interpreter that a venv is made with, Python 3.11 or newer; `wheelhouse` a folder
    of wheels, where pip has no way to an index. Raises ConfigError, ShutOut, TryLater, OSError.
    """
    folders = SiteFolders(Path(config.root))
    folders.make()
    runner = _runner(link, folders)
    venv = folders.root / "python"
    for python in (config.python, str(venv / "bin" / "python")):
        if shutil.which(python) and _ask(python, runner).code == WELL:
            return [_chosen(home, config, python)]
    wanted = _wanted(base, runner)
    if not venv.exists():
        _run([base, "-m", "venv", str(venv)])
    python = str(venv / "bin" / "python")
    source = ["--no-index", f"--find-links={wheelhouse}"] if wheelhouse else []
    _run([python, "-m", "pip", "install", "--quiet", *source, *wanted])
    answer = _ask(python, runner)
    if answer.code != WELL:
        raise ConfigError(f"{python} was filled and still does not run every module: {answer.said}")
    return [f"{venv} is made with {base}", _chosen(home, config, python)]


def _chosen(home: Path, config: AgentConfig, python: str) -> str:
    """Note a Python that runs every module; that, in words."""
    if python != config.python:
        write_config(home, config._replace(python=python))
    return f"{python} runs every module, and is `python` of agent.json"


def _runner(link: ServerLink, folders: SiteFolders) -> Path:
    """The runner that the server has today. Raises ShutOut, TryLater, OSError."""
    nothing: Dict[str, Any] = {"version": VERSION, "attempts": [], "batches": []}
    news = link.post("heartbeat", nothing, "attempts")
    digest = str(news.get("runner") or "")
    if not digest:
        raise TryLater("it has no runner to give")
    fetch_runner(link, folders, digest)
    return runner_path(folders, digest)


def _wanted(base: str, runner: Path) -> List[str]:
    """What pip has to install for the modules. Raises ConfigError for a base that is too old."""
    answer = _ask(base, runner)
    try:
        return [str(each) for each in json.loads(answer.out)["install"]]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{base} does not run the runner, name another one with --base: {answer.said}"
        ) from None


def _ask(python: str, runner: Path) -> CheckAnswer:
    """What a runner says of a Python; its code is WELL when every module runs there."""
    try:
        done = subprocess.run(
            [python, str(runner), "--check"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=CHECK_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return CheckAnswer(None, "", str(error))
    out, said = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return CheckAnswer(done.returncode, out, said.strip()[-MAX_WORDS:])


def _run(command: List[str]) -> None:
    """Run a program to its end. Raises ConfigError with what it said."""
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=BUILD_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"{command[0]}: {error}") from error
        if done.returncode != 0:
            said.seek(0)
            words = said.read().decode("utf-8", "replace").strip()[-MAX_WORDS:]
            raise ConfigError(f"{command[0]} ended with {done.returncode}: {words}")
