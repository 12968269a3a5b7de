"""Processes are known by pid and start time, and a zombie is none of them."""

import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from refinery.processes import end, identify, lives


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_that_is_not_reaped_has_ended(child: subprocess.Popen[bytes]) -> None:
    identity, process = identify(child.pid), psutil.Process(child.pid)
    assert identity is not None and identity.alive() and lives(process)
    assert end([process], 0.01, signal.SIGKILL) == []  # nobody reaped it: it was not waited for
    assert process.status() == psutil.STATUS_ZOMBIE
    assert not identity.alive()


def test_one_that_does_not_end_is_named(child: subprocess.Popen[bytes]) -> None:
    assert end([psutil.Process(child.pid)], 0.01, signal.SIGCONT) == [child.pid]
