"""A process that runs flows on order, as the worker's would, and reports how long each took.

Both sides of a comparison run in one such process in turn, so that neither pays for
imports. Started with the environment of the system's own services; reads one JSON object
per line, `{"do": name, ...}`, and answers with one per line.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State

from flows.dispatch import dispatch
from refinery.addresses import of_running
from refinery.local.prefect_setup import save_blocks
from refinery.settings import Settings
from schemas.pace import Pace


@flow(name="empty")
async def empty() -> None:
    """What a subflow costs that does nothing."""


@flow(name="empties")
async def empties(count: int, at_once: int) -> None:
    """`count` empty subflows, at most `at_once` side by side."""
    places = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with places:
            await empty()

    await asyncio.gather(*(one() for _ in range(count)))


async def run_empties(count: int, at_once: int) -> State[Any]:
    """The other side of a session's road."""
    return await empties(count, at_once, return_state=True)


async def run_dispatch(session: str, pace: dict[str, Any]) -> State[Any]:
    """The real dispatcher, until it ends."""
    return await dispatch(UUID(session), Pace(**pace), return_state=True)


DO: dict[str, Callable[..., Awaitable[State[Any]]]] = {
    "empties": run_empties,
    "dispatch": run_dispatch,
}


async def serve() -> None:
    """Save the blocks that flows load, then do what is asked until the input ends."""
    settings = Settings.load(Path.cwd())
    await save_blocks(settings, of_running(settings))
    answer({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        work = DO[asked.pop("do")]
        begun = time.perf_counter()
        state = await work(**asked)
        seconds = time.perf_counter() - begun
        run = state.state_details.flow_run_id
        answer({"run": str(run), "state": state.name, "seconds": seconds, "said": state.message})


def answer(words: dict[str, Any]) -> None:
    """One line; stdout belongs to this conversation alone, logs go to stderr."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
