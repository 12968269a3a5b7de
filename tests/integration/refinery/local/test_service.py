"""Supervision, on real processes: started, waited for, started again, stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from refinery.local.service import Service, ServiceError, Supervisor
from refinery.processes import ProcessId, identify, marked, sweep

PATIENCE_S = 60.0
SLEEP = "import signal; signal.pause()"


class Scene:
    """A supervisor and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.alive: dict[str, ProcessId] = {}
        self.supervisor = Supervisor(folder / "logs", self.said.append, self.changed)

    def changed(self, alive: dict[str, ProcessId]) -> None:
        self.alive = alive

    def service(self, name: str, code: str = SLEEP, **options: object) -> Service:
        argv = (sys.executable, "-c", code)
        return Service(name, argv, dict(os.environ), self.folder, **options)  # type: ignore[arg-type]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.supervisor.stop()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.02)


def writes(path: Path, then: str = SLEEP) -> str:
    return f"import pathlib; pathlib.Path({str(path)!r}).touch(); {then}"


async def test_start_returns_once_the_service_is_ready(scene: Scene) -> None:
    sign = scene.folder / "sign"

    async def ready() -> bool:
        return sign.exists()

    await scene.supervisor.start(scene.service("a", writes(sign), ready=ready))
    assert sign.exists() and scene.alive["a"].alive()


async def test_a_service_that_dies_at_once_is_reported_with_the_end_of_its_log(
    scene: Scene,
) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(ServiceError, match=r"(?s)a stopped with code 3.*no such drive") as caught:
        code = "import sys; print('no such drive'); sys.exit(3)"
        await scene.supervisor.start(scene.service("a", code, ready=never))
    assert "a.log" in str(caught.value)


async def test_a_slow_service_is_waited_for_as_long_as_it_lives_and_reported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinery.waiting.EVERY_S", 0.05)
    looks = iter(range(10**6))

    async def late() -> bool:
        return next(looks) > 10

    await scene.supervisor.start(scene.service("a", ready=late, doing="it migrates"))
    assert scene.said[0].startswith("waiting for a, 0 s: it migrates (its log: ")
    assert "a.log" in scene.said[0] and len(scene.said) > 1


async def test_a_service_that_dies_while_it_is_waited_for_ends_the_wait_with_its_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinery.waiting.EVERY_S", 0.05)

    async def never() -> bool:
        return False

    code = "import sys, time; time.sleep(0.5); print('no such drive'); sys.exit(3)"
    with pytest.raises(ServiceError, match=r"(?s)a stopped with code 3.*no such drive"):
        await scene.supervisor.start(scene.service("a", code, ready=never))
    assert any(line.startswith("waiting for a") for line in scene.said)


async def test_a_task_that_takes_long_is_reported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinery.waiting.EVERY_S", 0.05)
    code = "import time; time.sleep(1.5)"
    await scene.supervisor.run(scene.service("tables", code, doing="they are brought up to date"))
    assert scene.said[0].startswith("waiting for tables, 1 s: they are brought up to date")


async def test_a_killed_service_is_started_again(scene: Scene) -> None:
    await scene.supervisor.start(scene.service("a"))
    first = scene.alive["a"]
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: scene.alive["a"] != first)
    assert scene.alive["a"].alive()
    assert "a stopped with code -9" in scene.said[0]


async def test_a_service_that_cannot_be_prepared_is_tried_again(scene: Scene) -> None:
    fails = [False, True, False]

    def prepare() -> None:
        if fails.pop(0):
            raise RuntimeError("the disk is full")

    await scene.supervisor.start(scene.service("a", prepare=prepare))
    first = scene.alive["a"]
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: not fails and scene.alive["a"] != first)
    assert any("the disk is full" in line for line in scene.said)


async def test_services_stop_in_the_reverse_order(scene: Scene) -> None:
    order = scene.folder / "order"
    code = (
        "import signal, sys\n"
        "def end(*_):\n"
        "    open({path!r}, 'a').write({name!r}); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open({path!r} + {name!r}, 'w').close()\n"
        "while True: signal.pause()\n"
    )
    for name in "abc":
        sign = Path(f"{order}{name}")

        async def ready(sign: Path = sign) -> bool:
            return sign.exists()

        text = code.format(path=str(order), name=name)
        await scene.supervisor.start(scene.service(name, text, ready=ready))
    await scene.supervisor.stop()
    assert order.read_text() == "cba"
    assert scene.alive == {}


async def test_what_a_service_started_ends_with_it_in_a_session_of_its_own_too(
    scene: Scene,
) -> None:
    pid = scene.folder / "pid"
    code = (
        "import pathlib, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'],\n"
        "                         start_new_session=True)\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid) + '\\n')\n"
        "signal.pause()\n"
    )

    async def ready() -> bool:
        return pid.exists() and pid.read_text().endswith("\n")

    await scene.supervisor.start(scene.service("a", code, ready=ready))
    child = identify(int(pid.read_text()))
    assert child is not None and child.alive()
    await scene.supervisor.stop()
    assert not child.alive()


async def test_a_service_that_ignores_the_request_is_killed(scene: Scene) -> None:
    sign = scene.folder / "sign"
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "

    async def ready() -> bool:
        return sign.exists()

    code = deaf + writes(sign, "\nwhile True: signal.pause()")
    await scene.supervisor.start(scene.service("a", code, ready=ready, stop_seconds=0.3))
    await scene.supervisor.stop()
    assert scene.alive == {}


async def test_a_task_that_ends_badly_is_an_error(scene: Scene) -> None:
    await scene.supervisor.run(scene.service("well", "pass"))
    with pytest.raises(ServiceError, match="ill ended with code 2"):
        await scene.supervisor.run(scene.service("ill", "raise SystemExit(2)"))


async def test_whoever_carries_the_mark_is_swept_up(scene: Scene) -> None:
    mark = f"test-{os.getpid()}"
    service = Service("a", (sys.executable, "-c", SLEEP), {"STACK_OF_REFINERY": mark}, scene.folder)
    await scene.supervisor.start(service)
    await until(lambda: len(marked(mark)) == 1)
    running = asyncio.create_task(asyncio.to_thread(sweep, mark, 5.0))
    assert await running == []
    assert marked(mark) == []


def test_a_recycled_pid_is_not_taken_for_the_process_that_had_it() -> None:
    here = identify(os.getpid())
    assert here is not None and here.alive()
    assert not ProcessId(here.pid, here.started - 100).alive()
