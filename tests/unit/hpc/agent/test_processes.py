"""Real children: known by the lock that they hold, and stopped with all that they started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpc.agent.processes import end_leftovers, environment, is_alive, send_signal, spawn
from tests.support.agent_site import until

SLEEPER = "import subprocess, sys; subprocess.run(['sleep', '60'])"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def ended(child: "subprocess.Popen[bytes]") -> int:
    return child.wait(timeout=20)


def test_nothing_is_alive_where_nothing_was_started(folder: Path) -> None:
    assert not is_alive(folder)


def test_it_is_alive_as_long_as_anything_that_it_started(folder: Path) -> None:
    orphan = "import subprocess; subprocess.Popen(['sleep', '60'], close_fds=False)"
    child = spawn(folder, [sys.executable, "-c", orphan], environment(os.environ, 1))
    assert ended(child) == 0
    assert is_alive(folder)
    send_signal(folder, None, signal.SIGKILL)
    until(lambda: not is_alive(folder))


@pytest.mark.parametrize("known", [True, False], ids=["its own", "an earlier agent's"])
def test_a_signal_reaches_the_whole_group(folder: Path, known: bool) -> None:
    child = spawn(folder, [sys.executable, "-c", SLEEPER], environment(os.environ, 1))
    until(lambda: is_alive(folder))
    send_signal(folder, child.pid if known else None, signal.SIGTERM)
    assert ended(child) != 0
    until(lambda: not is_alive(folder))


def test_a_signal_for_one_that_is_gone_reaches_nobody(folder: Path) -> None:
    child = spawn(folder, ["true"], environment(os.environ, 1))
    assert ended(child) == 0
    send_signal(folder, child.pid, signal.SIGKILL)
    send_signal(folder, None, signal.SIGKILL)


def test_a_program_that_is_not_there_leaves_no_lock(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn(folder, [str(folder / "none")], environment(os.environ, 1))
    assert not is_alive(folder)


def test_a_runner_sees_proxies_and_no_secret() -> None:
    seen = environment(
        {"PATH": "/bin", "https_proxy": "http://p", "REFINERY_JOIN_TOKEN": "x", "AWS_KEY": "y"}, 4
    )
    assert seen.keys() >= {"PATH", "https_proxy"}
    assert seen["OMP_NUM_THREADS"] == "4"
    assert not {"REFINERY_JOIN_TOKEN", "AWS_KEY"} & seen.keys()


@pytest.mark.parametrize("known", [True, False], ids=["its own", "an earlier agent's"])
def test_what_a_process_left_that_was_killed_is_ended_by_its_lock(
    folder: Path, known: bool
) -> None:
    # Many, so that some are on their way into a session of their own when they are looked for.
    leaves = f"for n in $(seq 30); do setsid sleep 60 & done; echo > {folder}/begun; exec sleep 60"
    child = spawn(folder, ["/bin/sh", "-c", leaves], environment(os.environ, 1))
    until(lambda: (folder / "begun").exists())
    if known:  # by force, which takes along what has a session of its own
        send_signal(folder, child.pid, signal.SIGKILL)
    else:
        child.kill()
        assert ended(child) < 0 and is_alive(folder)
        end_leftovers(folder)
    until(lambda: not is_alive(folder))
    ended(child)
