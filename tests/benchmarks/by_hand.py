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
    pipelines = [_pipeline(stages) for stages in lengths]

    async def write(tx: AsyncConnection) -> None:
        others = [each for each in await read_sites(tx) if each.name != SITE]
        await load_sites(tx, [*others, site], actor="benchmark")
        await tx.execute(DRIVEN, {"names": [SITE]})
        await load_pipelines(tx, pipelines, actor="benchmark")

    await transact(engine, write)


def _pipeline(stages: int) -> Pipeline:
    """That many stages in a row, each the load of nothing."""
    keys = [f"step{n}" for n in range(stages)]
    listed = [
        {"key": key, "run": "module load", "on": [SITE], "needs": keys[max(0, n - 1) : n]}
        for n, key in enumerate(keys)
    ]
    return Pipeline.model_validate({"pipeline": f"{PIPELINE}{stages}", "stages": listed})


async def open_with(engine: AsyncEngine, stages: int, assets: int) -> UUID:
    """A registered session whose assets are past their ingest and known to the archive."""
    fields = {"workstation": "WORKHERB0001", "listing_hash": uuid4().hex, "actor": "benchmark"}

    async def write(tx: AsyncConnection) -> UUID:
        opened = await open_session(tx, path=f"/benchmark/{uuid4()}", **fields)
        assert opened is not None
        await mark_registered(tx, opened)
        return opened

    session = await transact(engine, write)
    await register(engine, session, stages, assets)
    return session


async def register(engine: AsyncEngine, session: UUID, stages: int, assets: int) -> None:
    """More such assets in a session."""
    pipeline = f"{PIPELINE}{stages}"
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
