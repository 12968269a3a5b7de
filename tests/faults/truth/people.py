"""The people and the clock of the property test: operators, editors of pipelines, reconcile."""

from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Pipeline
from tests.faults.truth.world import EDITS, SITES, Actor, Truth
from track.commands import healing, operations, switches
from track.commands.back_fill import back_fill_page
from track.commands.pipelines import load_pipelines
from track.commands.selection import CannotDo
from track.jobs.parking import wake_due
from track.records.wake import wake_session
from track.schema.states import State

LIVE = """
    SELECT 1 FROM track.dispatcher
    WHERE session_id = :session AND ended_at IS NULL AND alive_until > clock_timestamp()
"""


@dataclass
class Operator:
    """Does to a random job, asset or stage whatever an operator may do."""

    truth: Truth
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "operator")

    async def run(self) -> None:
        """One act after the other, for ever."""
        acts = (self._resubmit, self._skip, self._cancel, self._move, self._attention, self._switch)
        while True:
            await self.me.turn("looks around", 0.5)
            await self.me.rng.choice(acts)()

    async def _one(self, *states: State) -> int | None:
        rows = await self.truth.sql(
            "SELECT j.id FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
            " WHERE s.archived_at IS NULL AND j.state = ANY(:states) ORDER BY j.id",
            states=[str(state) for state in states],
        )
        return self.me.rng.choice(rows)[0] if rows else None

    async def _resubmit(self) -> None:
        job_id = await self._one(State.DONE, State.EXCLUDED, State.FAILED, State.CANCELLED)
        if job_id is not None:
            await self.me.do(
                f"resubmit {job_id}",
                lambda tx: operations.resubmit(tx, job_id, actor="operator", why="again"),
            )

    async def _skip(self) -> None:
        job_id = await self._one(State.FAILED, State.CANCELLED, State.FAILED, State.WAITING)
        if job_id is not None:
            await self.me.do(
                f"skip {job_id}",
                lambda tx: operations.skip(tx, job_id, actor="operator", why="not needed"),
            )

    async def _cancel(self) -> None:
        job_id = await self._one(
            State.READY, State.CLAIMED, State.QUEUED, State.RUNNING, State.RETURNED
        )
        if job_id is not None:
            await self.me.do(
                f"cancel {job_id}",
                lambda tx: operations.cancel(tx, job_id, actor="operator", why="stop"),
            )

    async def _move(self) -> None:
        job_id = await self._one(State.QUEUED)
        if job_id is None:
            return
        target = self.me.rng.choice(SITES)
        try:
            await self.me.do(
                f"move {job_id} to {target}",
                lambda tx: operations.move_to(tx, job_id, target, actor="operator", why="quieter"),
            )
        except CannotDo as refused:
            self.truth.turns.note("operator", f"  refused: {refused}")

    async def _attention(self) -> None:
        rows = await self.truth.sql("SELECT guid, attention FROM track.asset ORDER BY guid")
        guid, held = self.me.rng.choice(rows)
        note = None if held else "look"
        await self.me.do(
            f"attention of {guid}: {note}",
            lambda tx: switches.set_attention(tx, guid, note, actor="operator"),
        )

    async def _switch(self) -> None:
        rows = await self.truth.sql(SWITCHES)
        key, name, on = self.me.rng.choice(rows)
        if key is None:
            await self.me.do(
                f"switch {name} {'off' if on else 'on'}",
                lambda tx: switches.switch_pipeline(tx, name, not on, actor="operator"),
            )
            return
        with suppress(CannotDo):  # an edit may have removed it meanwhile
            await self.me.do(
                f"switch {name}/{key} {'off' if on else 'on'}",
                lambda tx: switches.switch_stage(tx, key, name, not on, actor="operator"),
            )


SWITCHES = """
    SELECT s.key, p.name, s.active FROM track.stage s JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE s.archived_at IS NULL
    UNION ALL SELECT NULL, name, active FROM track.pipeline WHERE name <> 'UNREADABLE'
    ORDER BY 2, 1
"""


async def wake_all(tx: AsyncConnection) -> None:
    """Look at every session that may have work again."""
    rows = await tx.execute(text("SELECT id FROM track.session ORDER BY id FOR SHARE"))
    for session_id in rows.scalars().all():
        await wake_session(tx, session_id)


@dataclass
class Editor:
    """Loads one version of the pipelines after the other, with work in flight; adds tiles."""

    truth: Truth
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "editor")

    async def run(self) -> None:
        """Edit now and then, for ever."""
        while True:
            await self.me.turn("thinks", 0.3)
            drawn = self.me.rng.random()
            if drawn < 0.2:
                await self.load(self.me.rng.choice(sorted(EDITS)))
            elif drawn < 0.23 and self.truth.tiles < 6:
                await self.me.turn("a tile arrives")
                await self.truth.add_tile()

    async def load(self, edit: str) -> None:
        """Load a version."""
        pipelines = [Pipeline.model_validate(each) for each in EDITS[edit]]
        await self.me.do(
            f"pipelines: {edit}", lambda tx: load_pipelines(tx, pipelines, actor="editor")
        )
        while not self.me.chance(0.2):  # else killed between two pages
            if not await self.me.do("a page of assets is brought in line", page):
                return


async def page(tx: AsyncConnection) -> bool:
    """Bring the next two assets in line with an edit; False when none was left."""
    return await back_fill_page(tx, 2)


@dataclass
class Time:
    """The clock that jumps, and what time brings: reconcile's look at sessions nobody is at."""

    truth: Truth
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "time")

    async def run(self) -> None:
        """Let time pass, for ever."""
        while True:
            if self.me.rng.random() < 0.6:
                await self.me.do("what was put off is due", _due, 0.3)
                await self.me.do("the clock asks for who is due", wake_due, 0.3)
                continue
            if self.me.rng.random() < 0.2:
                await self.me.do("reconcile brings a page of assets in line", page, 0.3)
                continue
            session_id = self.me.rng.choice(self.truth.sessions)
            if await self.me.do("reconcile", lambda tx, s=session_id: _reconcile(tx, s), 0.3):  # type: ignore[misc]
                self.truth.unwatched.discard(session_id)


async def _due(tx: AsyncConnection) -> None:
    late = (
        "UPDATE track.job SET available_at = now() WHERE state = 'ready' AND available_at > now()"
    )
    await tx.execute(text(late))
    await tx.execute(text("UPDATE track.session SET wake_at = now() WHERE wake_at > now()"))


async def _reconcile(tx: AsyncConnection, session_id: UUID) -> bool:
    """Take up a session that nobody is at; whether nobody was."""
    if (await tx.execute(text(LIVE), {"session": session_id})).first() is not None:
        return False
    await healing.request_dispatcher(tx, session_id)
    return True
