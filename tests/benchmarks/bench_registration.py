"""5,000 specimens registered on the real road ÷ the same rows written by plain INSERT … SELECT.

Ours is what a session's dispatcher does, page by page; theirs copies what ours has written, assets,
jobs and history, in one transaction. The two take turns in one database, so that a busy machine
slows both. Files are read in a second part, to see what of a whole registration they are.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.runner.registry import names
from schemas.pipeline.load import load_pipelines
from tasks.files.mounts import MOUNTS
from tasks.files.ndrive import look_into
from tasks.intake import registration
from tests.benchmarks.rows import Row
from tests.support.clusters import temporary_cluster
from tests.support.museum import Museum, museum_at
from tests.support.world import document
from track.commands import pipelines
from track.commands.assets import NewAsset
from track.records.sessions import open_session
from track.schema.database import make_engine, transact
from track.schema.migrations import upgrade

SPECIMENS, ROUNDS = 5000, 3
PIPELINE = "PIPEHERB0001"
ROAD = Path(__file__).parents[2] / "deployments" / "pipelines" / "herb0001.yaml"

PLAIN = (
    """
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, batch_name, source_path,
                             size_mb, reserved_mb)
    SELECT 'plain-' || guid, :copy, pipeline_id, file_name, batch_name, source_path, size_mb,
           reserved_mb
    FROM track.asset WHERE session_id = :session
    """,
    """
    INSERT INTO track.job (asset_guid, session_id, stage_id, state)
    SELECT 'plain-' || j.asset_guid, :copy, j.stage_id, j.state
    FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid WHERE a.session_id = :session
    """,
    """
    INSERT INTO track.history (actor, what, session_id, asset_guid, job_id, old, new, why)
    SELECT h.actor, h.what, :copy, 'plain-' || h.asset_guid, c.id, h.old, h.new, h.why
    FROM track.asset a JOIN track.history h ON h.asset_guid = a.guid
    LEFT JOIN track.job j ON j.id = h.job_id
    LEFT JOIN track.job c ON c.asset_guid = 'plain-' || j.asset_guid AND c.stage_id = j.stage_id
    WHERE a.session_id = :session
    """,
)


async def measure(*, quick: bool = False) -> list[Row]:
    """The rows of both sides, and the seconds of a whole registration with its files."""
    size, rounds = (200, 1) if quick else (SPECIMENS, ROUNDS)
    with temporary_cluster() as cluster, tempfile.TemporaryDirectory() as place:
        cluster.ensure_database("bench")
        upgrade(cluster.url("bench"))
        engine = make_engine(cluster.url("bench"))
        try:
            museum = await museum_at(engine, Path(place))
            road = load_pipelines(ROAD.read_text(encoding="utf-8"), ROAD.name, names())
            await transact(engine, pipelines.load_pipelines, road, actor="bench")
            ours, theirs = [], []
            for n in range(rounds):
                session = await _session(engine, Path("/bench", str(n)))
                ours.append(await _seconds(_registered(engine, session, n, size)))
                theirs.append(await _seconds(transact(engine, _copied, session)))
            what = f"{size:,} specimens registered ÷ the same rows by plain INSERT … SELECT"
            both = Row(what, statistics.median(ours), statistics.median(theirs), 5)
            return [both, *await _with_files(museum, size)]
        finally:
            await engine.dispose()


async def _session(engine: AsyncEngine, path: Path) -> UUID:
    more = {"workstation": "W", "listing_hash": "h", "actor": "bench"}
    opened = await transact(engine, open_session, path=str(path), **more)
    assert opened is not None
    return opened


async def _registered(engine: AsyncEngine, session: UUID, n: int, size: int) -> None:
    """Register a folder's specimens as a dispatcher does once it has read it."""
    names = [f"bench{n}-{each:05}" for each in range(size)]
    given = {"batch_name": "W_2026-01-01", "source_path": "/bench", "reserved_mb": 21}
    assets = [NewAsset(name, PIPELINE, name, **given) for name in names]
    done = await registration.register_pages(engine, session, assets, actor="bench")
    assert len(done.new) == size


async def _copied(tx: AsyncConnection, session: UUID) -> None:
    """The same rows again, for a session of its own."""
    copy = (
        "INSERT INTO track.session (path, opened_as, listing_hash, workstation)"
        " SELECT path, opened_as, 'copy', workstation FROM track.session WHERE id = :session"
        " RETURNING id"
    )
    given = {"session": session}
    given["copy"] = (await tx.execute(text(copy), given)).scalar_one()
    for statement in PLAIN:
        await tx.execute(text(statement), given)


async def _with_files(museum: Museum, size: int) -> list[Row]:
    """The seconds of a whole registration, and of its reading alone."""
    for n in range(size):
        body = document(f"file-{n:05}", pipeline_name=PIPELINE, date_asset_taken="2026-01-01")
        (museum.folder / f"file-{n:05}.json").write_text(json.dumps(body))
        (museum.folder / f"file-{n:05}.tif").write_bytes(b"II*\0")
    folder = museum.folder
    listed = await _seconds(look_into(folder))
    listing = await look_into(folder)
    known = await transact(museum.world.engine, pipelines.pipelines_by_name)
    reading = MOUNTS.run(folder.parent, registration.describe_all, listing, known)
    read = await _seconds(reading)
    await museum.turn_to(await _session(museum.world.engine, folder))
    whole = await _seconds(registration.register_session(museum.dispatcher))
    assert await museum.world.states("file-00000")
    return [
        Row(f"{size:,} specimens registered from their files, all in all", whole),
        Row("of it the folder listed", listed),
        Row("of it their metadata read", read),
    ]


async def _seconds(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun
