"""Callbacks per second, each committed with all that follows, against a bare INSERT and commit.

Both are answered by the same server process with the same framework, body and engine, over
real connections, in turns within one run.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.callers import AttemptCaller
from api.clusters import create_app
from api.context import Here
from refinery.local.postgres import EmbeddedPostgres
from schemas.attempts import Complete
from tests.benchmarks.rows import Row
from tests.support.callbacks import KEYS, cluster_config
from tests.support.clusters import temporary_folder
from tests.support.events_server import EventsServer
from tests.support.serving import free_port
from tests.support.world import World, new
from track.records.inbox import Received, receive
from track.schema.database import make_engine
from track.schema.migrations import upgrade

ROOT = Path(__file__).parents[2]
ROUNDS, PER_ROUND, CLIENTS = 5, 400, 16
PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "ocr", "run": "module ocr"},
        {"key": "crop", "run": "module crop", "needs": "ocr"},
    ],
}

RUNNING = """
    WITH opened AS (
        INSERT INTO track.attempt (job_id, n, site, fence, started_by, nonce, started_at)
        SELECT id, 1, 'here', 1, 'n', 'x', now() FROM track.job WHERE state = 'ready'
        RETURNING id, job_id)
    UPDATE track.job j SET state = 'running', attempt_id = o.id FROM opened o WHERE j.id = o.job_id
    RETURNING j.attempt_id
"""


async def measure() -> list[Row]:
    """One row: callbacks and bare inserts per second, medians."""
    with temporary_folder() as folder:
        cluster = EmbeddedPostgres(folder / "state", home=folder / "pg")
        cluster.start()
        try:
            cluster.ensure_database("bench")
            upgrade(cluster.url("bench"))
            callbacks, inserts = await _measure(cluster.url("bench"), folder)
        finally:
            cluster.stop()
    what = "callbacks committed ÷ bare INSERT and commit, same server"
    return [Row(what, callbacks, inserts, target=0.5, unit="per s", at_least=True)]


async def _measure(url: str, folder: Path) -> tuple[float, float]:
    engine = make_engine(url)
    try:
        attempts = await _prepare(engine)
        async with EventsServer.serve() as prefect, _server(url, prefect.url, folder) as port:
            rates = await _rounds(port, attempts)
        async with engine.connect() as connection:
            returned = "SELECT count(*) FROM track.job WHERE state = 'returned'"
            applied = int((await connection.execute(text(returned))).scalar_one())
    finally:
        await engine.dispose()
    if applied != len(attempts):
        raise AssertionError(f"{applied} of {len(attempts)} callbacks were applied")
    callbacks, inserts = rates
    return statistics.median(callbacks), statistics.median(inserts)


async def _prepare(engine: AsyncEngine) -> list[int]:
    """As many running attempts as there are callbacks to send, in a session with a dispatcher."""
    world = await World.make(engine, PIPELINE)
    await world.register(*(new(f"g{n}") for n in range(ROUNDS * PER_ROUND)))
    async with engine.begin() as tx:
        attempts = sorted((await tx.execute(text(RUNNING))).scalars())
        documents = (
            "INSERT INTO metadata.document (asset_guid, body, arrived, arrived_version)"
            " SELECT guid, '{}', '{}', '3' FROM track.asset"
        )
        await tx.execute(text(documents))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE"))
    return attempts


async def _rounds(port: int, attempts: list[int]) -> tuple[list[float], list[float]]:
    callbacks, inserts = [], []
    body = {"native_id": "n", "nonce": "x", "result": {"details": {"box": [1, 2, 3, 4]}}}
    for turn in range(ROUNDS):
        mine = attempts[turn * PER_ROUND : (turn + 1) * PER_ROUND]
        inserts.append(await _rate(port, "bare", mine, body))
        callbacks.append(await _rate(port, "complete", mine, body))
    return callbacks, inserts


async def _rate(port: int, verb: str, attempts: list[int], body: dict[str, Any]) -> float:
    """Requests per second of CLIENTS connections that share the work."""
    waiting = iter(attempts)
    data = json.dumps(body).encode()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CLIENTS):
            tasks.create_task(_client(port, verb, waiting, data))
    return len(attempts) / (time.perf_counter() - began)


async def _client(port: int, verb: str, waiting: Any, data: bytes) -> None:
    """One kept connection; written by hand, since a client library costs more than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for attempt in waiting:
            head = (
                f"POST /attempts/{attempt}/{verb} HTTP/1.1\r\nHost: h\r\n"
                f"Authorization: Bearer {KEYS.issue(attempt, 1)}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            )
            writer.write(head.encode() + data)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in answer.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            answered = await reader.readexactly(length)
            if not answer.startswith(b"HTTP/1.1 200") or b'"applied"' not in answered:
                raise AssertionError(answer + answered)
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def _server(url: str, events_url: str, folder: Path) -> AsyncIterator[int]:
    """The application in a process of its own."""
    port = free_port()
    arguments = (str(Path(__file__)), url, events_url, str(folder), str(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as http:
            while not await _well(http, port):
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _well(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/health")).is_success
    except httpx.TransportError:
        return False


def serve(url: str, events_url: str, folder: str, port: str) -> None:
    """The clusters' application, and besides its paths one that only inserts and commits."""
    app = create_app(cluster_config(url, events_url, Path(folder), pool=CLIENTS))

    @app.post("/attempts/{attempt_id}/bare")
    async def bare(
        attempt_id: int, body: Complete, caller: AttemptCaller, here: Here
    ) -> dict[str, str]:
        payload = body.model_dump(mode="json")
        async with here.engine.begin() as tx:
            await receive(tx, Received(f"bare|{attempt_id}", "/bare", "bare", payload))
        return {"applied": "applied"}

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", proxy_headers=False)


if __name__ == "__main__":
    serve(*sys.argv[1:])
