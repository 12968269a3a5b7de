"""Programs that know nothing of us, run by the zipapp against a real server, and interrupted."""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

GUID = "asset-1"

STAYS = """\
import os, signal, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def note():
    with open(sys.argv[1], "a") as told:
        told.write(f"{os.getpid()}\\n")
if os.fork() == 0:
    note()
    if os.fork() == 0:
        os.setsid()
        note()
    time.sleep(120)
note()
while "ends" not in sys.argv or len(open(sys.argv[1]).read().split()) < 3:
    time.sleep(0.02)
"""
"""Three processes, one of which freed itself; with `ends` the first ends once all are there."""


def command(*words: str, **more: Any) -> dict[str, Any]:
    """The part of a grant that names a program; `values` are what the server knows."""
    base = {"words": list(words), "values": {"guid": GUID}, "expect_exit": [0], "inputs": False}
    return {"command": {**base, **more}, "ars": None}


def python(source: str, *words: str, **more: Any) -> dict[str, Any]:
    braces = source.replace("{", "{{").replace("}", "}}")
    return command(sys.executable, "-c", braces, *words, **more)


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """A file in which processes note their ids; those that still live at the end are killed."""
    told = tmp_path / "pids"
    told.touch()
    yield told
    for pid in living(told):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def living(told: Path) -> list[int]:
    found = map(int, told.read_text().split())
    return [
        pid
        for pid in found
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def until(holds: Callable[[], bool]) -> None:
    """Poll for at most 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_program_runs_and_what_it_made_is_listed(world, batch) -> None:
    source = (
        "import os, sys; print('så', sys.argv[1:], os.getcwd());"
        "os.mkdir('d'); open('d/ø 1.h5', 'w').write('made')"
    )
    given = python(source, "{guid}", "{folder}", "{params.t}", "a b")
    batch.add(world, 7, "command", **given, params={"t": 0.5}, outputs=["d/*.h5"])
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert verb == "complete", body
    folder = batch.root / "assets" / GUID
    said = f"så ['{GUID}', '{folder}', '0.5', 'a b'] {folder / 'command'}"
    assert body["result"]["details"] == {"exit_code": 0, "output": said}
    sha256 = hashlib.sha256(b"made").hexdigest()
    listed = {"path": "command/d/ø 1.h5", "size_bytes": 4, "sha256": sha256}
    assert body["result"]["outputs"] == [listed]
    assert (batch.folder / "log" / "0.output").read_text() == f"{said}\n"


def test_inputs_are_brought_only_where_they_are_asked_for(world, batch) -> None:
    files = [world.put_file("a.tif", b"image")]
    source = "import sys; print(open(sys.argv[1]).read())"
    asked = python(source, "{input}", inputs=True)
    ars = {"token": "ars-1", "expires_in": 600}
    batch.add(world, 7, "command", **{**asked, "ars": ars}, inputs=files)
    assert batch.run() == 0
    assert world.outcome(7)[1]["result"]["details"]["output"] == "image"


def test_a_program_is_shown_no_token(world, batch) -> None:
    source = (
        "import os; print(dict(os.environ));"
        "print(*(open(f'/proc/{pid}/cmdline', 'rb').read() for pid in (os.getpid(), os.getppid())))"
    )
    batch.add(world, 7, "command", **python(source))
    assert batch.run(env={**os.environ, "REFINERY_KEYS": "k:0011"}) == 0
    printed = (batch.folder / "log" / "0.output").read_text()
    assert "REFINERY_PARAMS" in printed
    assert "token-7" not in printed
    assert "k:0011" not in printed


def test_another_code_fails_with_the_last_words_and_a_try(world, batch) -> None:
    source = "import sys; print('x' * 9000); sys.exit('no such tile')"
    batch.add(world, 7, "command", **python(source))
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"], body["exit_code"]) == ("fail", "RETRY", 1)
    assert body["exception"] == "CommandFailed"
    assert f"{sys.executable} ended with code 1, not 0: xxx" in body["message"]
    assert body["message"].endswith("no such tile")
    assert len(body["message"]) < 2200
    assert (batch.folder / "log" / "0.output").stat().st_size > 9000


def test_all_outputs_that_are_missing_are_named(world, batch) -> None:
    outputs = ["a.h5", "there.txt", "d/*.tif"]
    given = python("open('there.txt', 'w')")
    batch.add(world, 7, "command", **given, outputs=outputs)
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "ERROR")
    assert "there is no file 'command/a.h5', 'command/d/*.tif'" in body["message"]


def test_a_later_attempt_finds_nothing_of_an_earlier_one(world, batch) -> None:
    source = "import os; print(os.listdir()); open('made', 'w')"
    batch.add(world, 7, "command", **python(source))
    batch.add(world, 8, "command", **python(source))
    assert batch.run() == 0
    outputs = [world.outcome(n)[1]["result"]["details"]["output"] for n in (7, 8)]
    assert outputs == ["[]", "[]"]


@pytest.mark.parametrize("kind", ["", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=["term", "usr1"])
def test_a_signal_ends_all_that_a_program_started_and_is_no_failure(
    world, batch, pids: Path, kind: str, number: int
) -> None:
    batch.add(world, 7, "command", **python(STAYS, str(pids), kind))
    batch.add(world, 8, "command", **python("pass"))
    with batch.start() as process:
        until(lambda: len(living(pids)) == 3)
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert living(pids) == []
    assert [path for path, _ in world.told] == ["/attempts/7/start"]
    assert batch.kept() == {}


def test_what_a_program_leaves_running_is_ended_with_it(world, batch, pids: Path) -> None:
    batch.add(world, 7, "command", **python(STAYS, str(pids), "ends"))
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert len(pids.read_text().split()) == 3
    assert living(pids) == []


def test_a_program_that_signals_its_own_group_does_not_interrupt_us(world, batch) -> None:
    batch.add(world, 7, "command", **command("/bin/sh", "-c", "trap 'kill 0' EXIT; exit 0"))
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["exit_code"]) == ("fail", -signal.SIGTERM)


def test_each_program_of_one_runner_is_told_its_own_memory(world, batch) -> None:
    large = "b = bytearray(300_000_000); b[::4096] = b'x' * len(b[::4096])"
    batch.add(world, 7, "command", **python(large))
    batch.add(world, 8, "command", **python("pass"))
    assert batch.run() == 0
    first, second = (world.outcome(n)[1]["result"]["usage"] for n in (7, 8))
    assert first["max_rss_mb"] > 300 > second["max_rss_mb"] + 150


def test_where_nodes_have_no_network_it_is_the_same(world, batch) -> None:
    batch.add(world, 7, "command", **python("print('here')"))
    manifest = batch.folder / "manifest.jsonl"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"callback": ""}) + "\n")
    (batch.folder / "grants.jsonl").write_text(json.dumps(world.grants[7]) + "\n")
    assert batch.run() == 0
    kept = batch.kept()["7.json"]
    assert kept["path"] == "/attempts/7/complete"
    assert kept["body"]["result"]["details"] == {"exit_code": 0, "output": "here"}


def test_a_result_that_is_lost_on_its_way_waits_and_the_program_runs_once(world, batch) -> None:
    world.ill["/attempts/7/complete"] = ["lost"]
    source = "import sys; open(sys.argv[1], 'a').write('ran ')"
    ran = batch.root / "ran"
    batch.add(world, 7, "command", **python(source, str(ran)))
    assert batch.run() == 0
    assert ran.read_text() == "ran "
    assert [path for path, _ in world.told].count("/attempts/7/complete") == 2
