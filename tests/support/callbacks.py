"""The clusters' application with a world behind it, called without a network in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import ClusterApi, create_app
from api.context import TokenSource
from hpc.runner.client import REFUSALS, is_grant, is_outcome, is_refusal, is_token
from hpc.tokens import Keys
from refinery.announcer import announcing
from tests.support.world import HERE, World, install_sites, new
from track.jobs import verbs
from track.schema.database import transact

T = TypeVar("T")
KEYS = Keys.parse("k:00112233445566778899aabbccddeeff")
LISTED = ("10.1.2.3", 4711)
"""A client in the network whose scripts need no token."""

CHILD: dict[str, Any] = {
    "pipeline": "DERIVATIVE",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "uploader", "run": "module upload", "needs": "create"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "uploader"},
    ],
}
PARENT: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "assetLoader", "run": "module load"},
        {
            "key": "barcode",
            "run": "module barcode",
            "needs": "assetLoader",
            "writes": ["asset_subject", "barcode", "multi_specimen"],
        },
        {"key": "ocr", "run": "module ocr", "needs": "barcode", "writes": ["tags.ocr"]},
        {
            "key": "derivative",
            "run": "module derive",
            "needs": "ocr",
            "emits": "DERIVATIVE",
            "params": {"ppi": [400, 72]},
        },
        {
            "key": "clean_up",
            "run": "module clean",
            "needs": ["derivative", {"stage": "synchronise", "of": "children"}],
        },
    ],
    "exclude": [
        {
            "after": "barcode",
            "when": "asset_subject == 'device target'",
            "stages": ["ocr", "derivative"],
        }
    ],
}


@asynccontextmanager
async def _tokens() -> AsyncIterator[TokenSource]:
    async def ask() -> tuple[str, float]:
        return "ars-token", 290.0

    yield ask


def cluster_config(database: str, events_url: str, folder: Path, **more: Any) -> ClusterApi:
    """Settings for a test; `more` replaces some."""
    settings: dict[str, Any] = {
        "database_url": database,
        "keys": KEYS,
        "announcing": partial(announcing, events_url=events_url),
        "ars_tokens": _tokens,
        "file_proxy": "https://ars.test/file_proxy/api",
        "outputs": folder / "outputs",
        "legacy_callbacks": (ip_network("10.1.0.0/16"),),
        "pool": 4,
    }
    return ClusterApi(**(settings | more))


@dataclass
class Cluster:
    """The application, its world and its client."""

    app: FastAPI
    world: World
    http: httpx.AsyncClient
    engine: AsyncEngine

    @classmethod
    @asynccontextmanager
    async def open(cls, engine: AsyncEngine, config: ClusterApi) -> AsyncIterator["Cluster"]:
        """Run the application's lifespan around a client in the listed network."""
        app = create_app(config)
        world = await World.make(engine, CHILD, PARENT)
        sites = [HERE, HERE.model_copy(update={"name": "s1"})]
        await transact(engine, install_sites, sites)
        async with app.router.lifespan_context(app), client(app, LISTED[0]) as http:
            yield cls(app, world, http, engine)

    async def asset(self, guid: str, batch: str = "W_2026-01-01", **more: Any) -> None:
        """Register an asset with its metadata and one file."""
        await self.world.register(new(guid, batch_name=batch))
        await self.world.describe(guid, **more)
        await self.world.sql(
            "INSERT INTO track.file (asset_guid, name, type, mime_type, crc32, size_bytes)"
            " VALUES (:g, :n, 'tif', 'image/tiff', 4000000000, 12)",
            g=guid,
            n=f"{guid}.tif",
        )

    async def queue(self, guid: str, stage: str, site: str = "s1") -> int:
        """Bring an asset to a stage and hand that to a site; the attempt's id."""
        while True:
            (found,) = await self.world.claim(guid=guid)
            if found.stage == stage:
                break
            await self.world.finish(found)
        return await self.world.enqueue(found.job_id, site)

    async def finish_returned(self, job_id: int) -> None:
        """Do what remains of a job that came back."""
        await transact(self.engine, verbs.finish, job_id, actor="test")

    async def job(self, guid: str, stage: str) -> dict[str, Any]:
        """A job's row."""
        job_id = await self.world.job_id(guid, stage)
        return await self.row("SELECT * FROM track.job WHERE id = :id", id=job_id)

    async def attempt(self, attempt_id: int) -> dict[str, Any]:
        """An attempt's row."""
        return await self.row("SELECT * FROM track.attempt WHERE id = :id", id=attempt_id)

    async def metadata(self, guid: str) -> tuple[int, dict[str, Any]]:
        """(revision, body)."""
        statement = "SELECT revision, body FROM metadata.document WHERE asset_guid = :g"
        row = await self.row(statement, g=guid)
        return row["revision"], row["body"]

    async def row(self, statement: str, **values: object) -> dict[str, Any]:
        """The one row of a query."""
        (found,) = await self.rows(statement, **values)
        return found

    async def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a query."""
        return await self.world.rows(statement, **values)

    async def inbox(self, kind: str) -> list[str]:
        """What became of the callbacks of a kind, in order."""
        rows = await self.rows(
            "SELECT applied FROM track.inbox WHERE kind = :k ORDER BY id", k=kind
        )
        return [row["applied"] for row in rows]

    async def script(self, path: str, expected: int = 200, /, **body: Any) -> Any:
        """Call one of the scripts' paths; the answer's JSON."""
        if set(body) == {"asset_guid"}:
            answer = await self.http.post(f"/dev/api/v1/{path}", params=body)
        else:
            answer = await self.http.post(f"/dev/api/v1/{path}", json=body)
        assert answer.status_code == expected, answer.text
        return answer.json()

    async def job_call(self, path: str, guid: str, stage: str, job_id: str, **more: Any) -> Any:
        """`queue_job`, `start_job` or `failed_job`."""
        when = "2026-11-21T10:00:00+01:00"
        body = {"guid": guid, "job_name": stage, "job_id": job_id, "timestamp": when}
        return await self.script(path, **body, **more)

    async def own(
        self, attempt_id: int, verb: str, body: Any, status: int = 200, fence: int | None = None
    ) -> Any:
        """Call a path of an attempt with its token; the answer is one that its runner knows."""
        fence = (await self.attempt(attempt_id))["fence"] if fence is None else fence
        answer = await self.http.post(
            f"/attempts/{attempt_id}/{verb}", json=body, headers=bearer(attempt_id, fence)
        )
        assert answer.status_code == status, answer.text
        known = (is_outcome, is_grant, is_token)
        if status == 200:
            assert any(each(answer.json(), attempt_id) for each in known), answer.text
        if status in REFUSALS:
            assert is_refusal(status, answer.json(), attempt_id), answer.text
        return answer.json()

    async def start(self, attempt_id: int, native: str = "n1", nonce: str = "x") -> Any:
        """Start an attempt; the grant."""
        return await self.own(attempt_id, "start", {"native_id": native, "nonce": nonce})


def bearer(attempt_id: int, fence: int = 1) -> dict[str, str]:
    """The header of an attempt."""
    return {"Authorization": f"Bearer {KEYS.issue(attempt_id, fence)}"}


def client(app: FastAPI, host: str) -> httpx.AsyncClient:
    """A client that seems to call from `host`."""
    transport = httpx.ASGITransport(app, client=(host, 4711), raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://api")


async def until(look: Callable[[], Awaitable[T]], seconds: float = 120) -> T:
    """What `look` returns once it is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(0.02)
    return found
