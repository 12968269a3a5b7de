"""All that a process starts is found and ended, however it hides."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ENDS = """\
import subprocess, sys, time
from hpc.runner.descendants import Descendants

beside = subprocess.Popen(["sleep", "60"])
started = Descendants()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
while not open(sys.argv[2]).read().endswith("ready"):
    time.sleep(0.02)
started.end(0.5)
print(beside.poll(), len(started.remaining()))
beside.kill()
"""
"""Ends what it started after `Descendants` was made, once that wrote "ready" to a file."""

FREED = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "a").write(f"{os.getpid()} ready")
        time.sleep(60)
    os._exit(0)
"""
DEAF = """\
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open(sys.argv[1], "a").write(f"{os.getpid()} ready")
time.sleep(60)
"""
BREEDING = """\
import os, sys, time
open(sys.argv[1], "a").write(f"{os.getpid()} ready")
for _ in range(200):
    if os.fork():
        os._exit(0)
    time.sleep(0.005)
time.sleep(60)
"""


@pytest.mark.parametrize("source", [FREED, DEAF, BREEDING], ids=["freed", "deaf", "breeding"])
def test_what_was_started_is_ended_and_what_was_there_before_is_not(
    source: str, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    told.touch()
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ENDS, source, str(told)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    left = [pid for pid in (int(told.read_text().split()[0]),) if psutil.pid_exists(pid)]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    assert (done.stdout.split(), left) == (["None", "0"], [])
    assert time.monotonic() - began < 20
