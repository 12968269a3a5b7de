"""Applications served over real HTTP by the tests' own process."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from refinery.addresses import LOOPBACK, unused_port

MAX_SECONDS = 60.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    return unused_port(LOOPBACK)


def _server(app: Any, port: int, **options: Any) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, LOOPBACK, port, log_config=None, **options))


@contextmanager
def served(app: Any, port: int, **options: Any) -> Iterator[str]:
    """Serve it from a thread, its lifespan with it; its address. `options` are uvicorn's.

    Fails if it does not end: a thread that was left behind kept the whole suite from ending.
    """
    server = _server(app, port, **options)
    thread = threading.Thread(target=server.run, name=f"served on {port}", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + MAX_SECONDS
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "it did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(MAX_SECONDS)
    assert not thread.is_alive(), "it did not end"


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[str]:
    """Serve it in the loop of the test; its address."""
    options: dict[str, Any] = {"proxy_headers": False, "ws": "none"}
    server = _server(app, port, timeout_graceful_shutdown=1, **options)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(MAX_SECONDS):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
