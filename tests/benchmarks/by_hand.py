"""Assets whose whole road is modules at a site that nobody drives: a benchmark is their cluster.

They are past their ingest, known to the archive, and their metadata is pushed: what is
left of the road is the dispatcher's and the clusters' API alone.
"""

from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.tokens import Keys
from schemas.metadata.document import read_document
from schemas.pipeline.load import Pipeline
from schemas.sites import Site
from tests.support.world import DRIVEN, document
from track.commands.assets import NewAsset, register_assets
from track.commands.pipelines import load_pipelines
from track.jobs.sites import load_sites, read_sites
from track.records.documents import create_document, mark_pushed
from track.records.sessions import mark_registered, open_session
from track.schema.database import transact

SITE = "benchmark"
PIPELINE = "BENCHMARK"

QUEUED = text("""
    SELECT t.id, t.fence, t.queued_at, j.asset_guid AS guid
    FROM track.attempt t JOIN track.job j ON j.id = t.job_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE a.session_id = :session AND t.site = :site AND t.closed_at IS NULL
      AND t.started_by IS NULL
""")


async def define(engine: AsyncEngine, lengths: tuple[int, ...]) -> None:
    """A site that pulls, so nobody here drives it; pipelines of modules that only it may run."""
    asked = {"site": SITE, "kind": "pull", "root": "/nowhere", "python": "python3"}
    site = Site.model_validate(asked | {"scheduler": "slurm", "block": "x", "callback": None})

    async def write(tx: AsyncConnection) -> None:
        others = [each for each in await read_sites(tx) if each.name != SITE]
        await load_sites(tx, [*others, site], actor="benchmark")
        await tx.execute(DRIVEN, {"names": [SITE]})

    await transact(engine, write)
    await load(engine, *(modules_in_a_row(of_length(stages), SITE, stages) for stages in lengths))


def of_length(stages: int) -> str:
    """The name of the pipeline of so many stages."""
    return f"{PIPELINE}{stages}"


async def load(engine: AsyncEngine, *pipelines: Pipeline) -> None:
    """Make pipelines known."""
    await transact(engine, load_pipelines, pipelines, actor="benchmark")


def modules_in_a_row(
    name: str, site: str, modules: int, before: tuple[str, ...] = (), run: str = "load"
) -> Pipeline:
    """A pipeline of that many stages of one module at a site, behind others; in waves, as those
    that are shipped."""
    runs = [*before, *[f"module {run}"] * modules]
    keys = [f"step{n}" for n in range(len(runs))]
    listed = [
        {"key": key, "run": run, "needs": keys[max(0, n - 1) : n]}
        | ({} if run in before else {"on": [site]})
        for n, (key, run) in enumerate(zip(keys, runs, strict=True))
    ]
    return Pipeline.model_validate({"pipeline": name, "wave": "auto", "stages": listed})


async def open_with(engine: AsyncEngine, pipeline: str, assets: int) -> UUID:
    """A registered session whose assets are past their ingest and known to the archive."""
    fields = {"workstation": "WORKHERB0001", "listing_hash": uuid4().hex, "actor": "benchmark"}

    async def write(tx: AsyncConnection) -> UUID:
        opened = await open_session(tx, path=f"/benchmark/{uuid4()}", **fields)
        assert opened is not None
        await mark_registered(tx, opened)
        return opened

    session = await transact(engine, write)
    await register(engine, session, pipeline, assets)
    return session


async def register(engine: AsyncEngine, session: UUID, pipeline: str, assets: int) -> None:
    """More such assets in a session."""
    guids = [f"bench-{uuid4()}" for _ in range(assets)]
    new = [NewAsset(guid=guid, pipeline=pipeline, file_name=guid) for guid in guids]

    async def write(tx: AsyncConnection) -> None:
        await register_assets(tx, session, new, actor="benchmark")
        for guid in guids:
            arrived = read_document(document(guid, pipeline_name=pipeline))
            await create_document(tx, guid, arrived, actor="benchmark")
            await mark_pushed(tx, guid, 1)

    await transact(engine, write)


async def queued(engine: AsyncEngine, session: UUID) -> list[RowMapping]:
    """The attempts of a session that wait in the site's queue: id, fence, queued_at, guid."""
    async with engine.connect() as connection:
        rows = await connection.execute(QUEUED, {"session": session, "site": SITE})
        return list(rows.mappings().all())


async def call(
    http: httpx.AsyncClient, keys: Keys, row: RowMapping, verb: str, body: dict[str, Any]
) -> None:
    """What an attempt's runner says to the clusters' API."""
    headers = {"Authorization": f"Bearer {keys.issue(row['id'], row['fence'])}"}
    answer = await http.post(f"/attempts/{row['id']}/{verb}", json=body, headers=headers)
    answer.raise_for_status()
