"""A small world for tests of the track database: pipelines, a session, assets, verbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.metadata.document import read_document
from schemas.pipeline.load import Pipeline
from schemas.sites import Site
from track.commands.assets import NewAsset, Registered, register_assets
from track.commands.back_fill import back_fill
from track.commands.pipelines import load_pipelines
from track.jobs import verbs
from track.jobs.claims import Claim, claim
from track.jobs.moves import Guard
from track.jobs.sites import load_sites
from track.records.documents import create_document
from track.records.sessions import open_session
from track.schema.database import transact
from track.schema.states import State
from track.schema.tables import dispatcher, job, outbox, stage

DRIVEN = text("UPDATE track.site SET seen_at = now() + interval '1 day' WHERE name = ANY(:names)")
HERE = Site.model_validate({"site": "here", "kind": "local", "root": "/nowhere"})


async def install_sites(tx: AsyncConnection, sites: Sequence[Site]) -> None:
    """Make sites known, each as if its driver were at work."""
    await load_sites(tx, sites, actor="test")
    await tx.execute(DRIVEN, {"names": [each.name for each in sites]})


async def edit(engine: AsyncEngine, *pipelines: dict[str, object]) -> list[str]:
    """Load definitions and carry them to every asset there is; the names that changed."""
    given = [Pipeline.model_validate(each) for each in pipelines]
    changed = await transact(engine, load_pipelines, given, actor="editor")
    await back_fill(engine)
    return changed


async def links(tx: AsyncConnection, guid: str) -> list[str]:
    """The guids of the other sheets of the same object, in order."""
    others = text("""
        SELECT o.asset_guid FROM mos.member mine JOIN mos.member o USING (unique_label_id)
        WHERE mine.asset_guid = :guid AND o.asset_guid <> :guid ORDER BY 1
    """)
    return list((await tx.execute(others, {"guid": guid})).scalars())


@dataclass
class World:
    """One session with a live dispatcher row, driven by hand."""

    engine: AsyncEngine
    session_id: UUID
    dispatcher_id: UUID

    @classmethod
    async def make(cls, engine: AsyncEngine, *pipelines: dict[str, object]) -> "World":
        """A world with these pipelines, one open site, and a session a dispatcher is at."""
        world = cls(engine, uuid4(), uuid4())

        async def work(tx: AsyncConnection) -> UUID:
            await load_pipelines(tx, [Pipeline.model_validate(p) for p in pipelines], actor="test")
            await install_sites(tx, [HERE])
            opened = await open_session(
                tx, path=f"/n/{uuid4()}", workstation="W", listing_hash="h", actor="test"
            )
            assert opened is not None
            await tx.execute(delete(outbox))  # it was announced to Prefect
            return opened

        world.session_id = await transact(engine, work)
        await back_fill(engine)
        await world.dispatch()
        return world

    async def dispatch(self, alive_s: float = 3600) -> UUID:
        """Insert a live dispatcher's row without the lease behind it."""
        self.dispatcher_id = uuid4()
        row = {
            "id": self.dispatcher_id,
            "session_id": self.session_id,
            "host": "test",
            "process": 1,
            "alive_until": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, alive_s),
        }
        async with self.engine.begin() as tx:
            await tx.execute(insert(dispatcher).values(row))
        return self.dispatcher_id

    async def register(self, *assets: NewAsset) -> Registered:
        """Register assets in the session."""
        return await transact(self.engine, register_assets, self.session_id, assets, actor="test")

    async def claim(self, limit: int = 10, guid: str | None = None) -> list[Claim]:
        """Claim what is ready."""
        async with self.engine.begin() as tx:
            taken = await claim(tx, self.session_id, self.dispatcher_id, limit=limit, guid=guid)
        return taken

    async def enqueue(self, job_id: int, site: str) -> int:
        """Put a claimed job into a site's queue; the attempt's id."""
        who: Any = {"dispatcher_id": self.dispatcher_id, "actor": "test"}
        return await transact(self.engine, verbs.enqueue_at_site, job_id, site, **who)

    async def describe(self, *guids: str, **more: Any) -> None:
        """Give assets a document each."""
        for guid in guids:
            arrived = read_document(document(guid, **more))
            await transact(self.engine, create_document, guid, arrived, actor="test")

    async def finish(self, found: Claim) -> list[int]:
        """Finish a claimed job."""
        guard = Guard(dispatcher_id=self.dispatcher_id)
        return await transact(self.engine, verbs.finish, found.job_id, actor="test", guard=guard)

    async def finish_all(self, *stages: str) -> None:
        """Claim and finish everything that becomes ready, or only these stages' jobs."""
        while claims := await self.claim(limit=1000):
            for found in claims:
                if not stages or found.stage in stages:
                    await self.finish(found)
            if stages and not any(found.stage in stages for found in claims):
                return

    async def states(self, guid: str) -> dict[str, State]:
        """The state of each of an asset's jobs, by stage."""
        statement = select(stage.c.key, job.c.state).join(job, job.c.stage_id == stage.c.id)
        statement = statement.where(job.c.asset_guid == guid).order_by(stage.c.position)
        async with self.engine.connect() as connection:
            return {row.key: State(row.state) for row in await connection.execute(statement)}

    async def job_id(self, guid: str, key: str) -> int:
        """The id of an asset's job."""
        statement = select(job.c.id).join(stage, job.c.stage_id == stage.c.id)
        statement = statement.where(job.c.asset_guid == guid, stage.c.key == key)
        async with self.engine.connect() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def sql(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Run one statement and return its rows."""
        async with self.engine.begin() as tx:
            result = await tx.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a query, by the names of their columns."""
        async with self.engine.connect() as connection:
            result = await connection.execute(text(statement), values)
            return [dict(row) for row in result.mappings()]


def document(guid: str, **more: Any) -> dict[str, Any]:
    """A v3 document."""
    return {
        "asset_guid": guid,
        "institution": "NHMD",
        "collection": "Vascular plants",
        "pipeline_name": "P",
        "workstation_name": "WORKHERB0001",
        "file_format": "tif",
        "tags": {"metadataTemplate": "v3"},
        **more,
    }


def new(guid: str, pipeline: str = "P", **fields: object) -> NewAsset:
    """An asset to register."""
    return NewAsset(guid=guid, pipeline=pipeline, file_name=guid, **fields)  # type: ignore[arg-type]
