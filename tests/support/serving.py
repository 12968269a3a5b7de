"""An application served over real HTTP from a thread of the tests' own process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

DEADLINE_S = 60.0


@contextmanager
def served(app: Any, port: int, **options: Any) -> Iterator[str]:
    """Serve it on a port of 127.0.0.1, its lifespan with it; its address.

    Fails if it does not end: a thread that was left behind kept the whole suite from ending.
    `options` are uvicorn's.
    """
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, **options))
    thread = threading.Thread(target=server.run, name=f"served on {port}", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "it did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
    assert not thread.is_alive(), "it did not end"
