"""A session in which things went wrong in every way that needs a person, for pages of the board."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.local.postgres import EmbeddedPostgres
from schemas.quarantine import QuarantineEntry
from tests.support.world import World, new
from track.commands.assets import quarantine_all
from track.commands.legacy import warn
from track.commands.switches import set_attention
from track.jobs import verbs
from track.jobs.claims import Claim
from track.jobs.moves import Guard
from track.records.sessions import mark_registered
from track.schema.database import make_engine, transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "PIPEHERB0001",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
        {"key": "ocr", "run": "module ocr", "needs": "create"},
        {"key": "finalise", "run": "refinery.finalise", "needs": "ocr"},
    ],
}
FOLDER = "/nhmd/WORKHERB0001/2026-11-28_15-53-19"
REFUSED = "the archive: 503, and not in ARS's words"
ENTRY = QuarantineEntry(
    file="NHMD-100001.tif",
    problem="235 of its 643 strips are all zero, as a copy that was cut short leaves them",
    remedy="copy it again and drop it with its metadata",
)


def guid(number: int) -> str:
    """The specimens' guids, with what addresses have to quote."""
    return f"NHMD Ø-{100000 + number}"


@dataclass
class Troubled:
    """Of twelve specimens: 0 archived, 1 quarantined, 2 held, 3–7 failed of one thing, 8 of
    another, 9 cancelled, 10 warned of, 11 where it was."""

    world: World
    guids: list[str] = field(default_factory=list)

    @classmethod
    async def make(cls, engine: AsyncEngine) -> "Troubled":
        """Registered, and carried as far as each goes."""
        world = await World.make(engine, PIPELINE)
        made = cls(world, [guid(n) for n in range(12)])
        await world.sql(
            "UPDATE track.session SET path = :folder, opened_as = :folder,"
            " workstation = 'WORKHERB0001' WHERE id = :id",
            folder=FOLDER,
            id=world.session_id,
        )
        await world.register(*(new(each, "PIPEHERB0001") for each in made.guids))
        known = QuarantineEntry("a.tif", "its guid was taken in from another folder", "look there")
        await transact(engine, mark_registered, world.session_id, [known])
        await world.describe(*made.guids, digitiser="Ib Ibsen")
        await made._go_wrong()
        return made

    async def _go_wrong(self) -> None:
        await self._quarantine(1)
        ingests = {each.guid: each for each in await self.world.claim(limit=100)}
        for number in (0, 2, 3, 4, 5, 6, 7, 8, 10):
            await self.world.finish(ingests[self.guids[number]])
        await self._end(ingests[self.guids[9]], State.CANCELLED, "stopped by ib")
        creates = {each.guid: each for each in await self.world.claim(limit=100)}
        for number in range(3, 8):
            reason = f"{self.guids[number]}.tif: {REFUSED} (request {number}0f{number}a)"
            await self._end(creates[self.guids[number]], State.FAILED, reason)
        lost = "its memory ran out (job 4711)"
        await self._end(creates[self.guids[8]], State.FAILED, lost)
        await transact(
            self.world.engine, set_attention, self.guids[2], "no code was read", actor="barcode"
        )
        job_id = await self.world.job_id(self.guids[10], "ingest")
        await transact(self.world.engine, warn, job_id, "of its 3 pictures of full size one counts")
        await self.world.finish(creates[self.guids[0]])
        await self.world.sql(
            "UPDATE track.job SET state = 'done' WHERE asset_guid = :guid", guid=self.guids[0]
        )
        await self.world.sql(
            "UPDATE track.asset SET finalised_at = now() WHERE guid = :guid", guid=self.guids[0]
        )

    async def _quarantine(self, number: int) -> None:
        (held,) = await self.world.claim(limit=1, guid=self.guids[number])
        by: Any = {"dispatcher_id": self.world.dispatcher_id, "actor": "test"}
        assert await transact(self.world.engine, quarantine_all, {held.job_id: ENTRY}, **by)

    async def _end(self, claim: Claim, state: State, why: str) -> None:
        guard = Guard(dispatcher_id=self.world.dispatcher_id)
        by: Any = {"actor": "test", "why": why, "guard": guard}
        await transact(self.world.engine, verbs.end, claim.job_id, state, **by)


@dataclass(frozen=True)
class TroubledDatabase:
    """A database that tests only read: its SQLAlchemy URL, its session, its guids."""

    url: str
    session_id: UUID
    guids: tuple[str, ...]


@pytest.fixture(scope="session")
def troubled_database(postgres: EmbeddedPostgres, template: str) -> Iterator[TroubledDatabase]:
    """One for all tests of a process that look and change nothing: it takes seconds to make."""
    name = "troubled"
    address = postgres.url("postgres", "postgresql")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        try:
            with ThreadPoolExecutor(1) as beside:  # no loop of a test is in its way there
                yield beside.submit(asyncio.run, _make(postgres.url(name))).result()
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


async def _make(url: str) -> TroubledDatabase:
    engine = make_engine(url)
    made = await Troubled.make(engine)
    await engine.dispose()
    return TroubledDatabase(url, made.world.session_id, tuple(made.guids))
