"""Sessions side by side under one throttle, each claimed for and parked by hand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.pipeline.load import Pipeline
from tests.support.world import World, new
from track.commands import healing
from track.commands.pipelines import load_pipelines
from track.jobs import verbs
from track.jobs.claims import Claim
from track.jobs.moves import Guard
from track.jobs.outlook import Outlook, outlook
from track.jobs.parking import wake_or_park
from track.records.sessions import mark_registered, open_session
from track.schema.database import transact


def pipeline(**throttle: int) -> dict[str, Any]:
    """One stage, and a throttle."""
    return {
        "pipeline": "P",
        "throttle": throttle,
        "stages": [{"key": "load", "run": "module load"}],
    }


@dataclass
class Sessions:
    """Any number of sessions of one pipeline; `sql` runs a statement on their database."""

    engine: AsyncEngine
    sql: Callable[..., Awaitable[list[tuple[object, ...]]]]
    dispatchers: dict[UUID, UUID] = field(default_factory=dict)
    _worlds: dict[UUID, World] = field(default_factory=dict)

    @classmethod
    async def open(cls, engine: AsyncEngine, **throttle: int) -> "Sessions":
        """No session yet, of a pipeline that has this throttle."""
        made = await World.make(engine, pipeline(**throttle))
        for table in ("dispatcher", "history", "session"):
            await made.sql(f"DELETE FROM track.{table}")
        return cls(engine, made.sql)

    async def throttle(self, **throttle: int) -> None:
        """Give the pipeline another throttle."""
        known = [Pipeline.model_validate(pipeline(**throttle))]
        await transact(self.engine, load_pipelines, known, actor="t")

    async def add(self, *guids: str, **fields: object) -> UUID:
        """A registered session of these specimens that nobody is at."""
        opened = {"path": f"/n/W/{guids[0]}", "workstation": "W", "listing_hash": "h", "actor": "t"}
        session_id = await transact(self.engine, open_session, **opened)
        assert session_id is not None
        world = World(self.engine, session_id, session_id)
        await world.register(*(new(guid, **fields) for guid in guids))
        await transact(self.engine, mark_registered, session_id)
        await world.sql("UPDATE track.session SET wake_requested_at = NULL, parked_at = NULL")
        self._worlds[session_id] = world
        return session_id

    async def lease(self, session_id: UUID) -> None:
        """A dispatcher takes the session, as track.jobs.leases does."""
        world = self._worlds[session_id]
        await world.sql(
            "UPDATE track.session SET wake_requested_at = NULL, parked_at = NULL, wake_at = NULL,"
            " room = NULL WHERE id = :id",
            id=session_id,
        )
        self.dispatchers[session_id] = await world.dispatch()

    async def claim(self, session_id: UUID) -> list[Claim]:
        """A dispatcher takes the session and claims what it may."""
        await self.lease(session_id)
        return await self._worlds[session_id].claim()

    async def finish(self, session_id: UUID, found: Claim) -> None:
        """Its dispatcher finishes a claimed job."""
        await self._worlds[session_id].finish(found)

    async def put_off(self, session_id: UUID, found: Claim, *, delay_s: float) -> None:
        """Its dispatcher puts a claimed job off without using a try."""
        guard = Guard(dispatcher_id=self.dispatchers[session_id])
        how: Any = {"actor": "t", "why": "away", "uses_try": False, "guard": guard}
        await transact(self.engine, verbs.try_again, found.job_id, delay_s=delay_s, **how)

    async def park(self, session_id: UUID) -> Outlook:
        """Its dispatcher, if it has one, gives up the lease, and looks once more."""
        if session_id not in self.dispatchers:
            await self.lease(session_id)
        await self.sql(
            "UPDATE track.dispatcher SET ended_at = now() WHERE session_id = :id", id=session_id
        )
        return (await transact(self.engine, wake_or_park, session_id))[session_id]

    async def outlook(self, session_id: UUID) -> Outlook:
        """What is before a session."""
        return await transact(self.engine, outlook, session_id)

    async def asked(self, session_id: UUID) -> bool:
        """Whether a dispatcher was asked for."""
        asked = "SELECT wake_requested_at IS NOT NULL FROM track.session WHERE id = :id"
        ((found,),) = await self.sql(asked, id=session_id)
        return bool(found)

    async def neglected(self) -> list[UUID]:
        """What reconcile finds with a minute's patience."""
        return await transact(self.engine, healing.neglected, timedelta(minutes=1))
