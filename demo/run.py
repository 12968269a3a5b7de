"""The demonstration: the whole system on this host, one session down its whole road.

Whoever watches sees every specimen move; at the end each is held against what the session
was made to contain, and the addresses to look further are printed.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.judgement import Row, judged, specimens
from demo.lab import agents, pull, slurm
from demo.lab.known_site import database_time, is_own
from demo.progress import SessionProgress
from demo.specimens.photographs import write_photograph_session
from demo.specimens.sessions import Expectation, write_sample_session
from demo.workstation import send_from_workstation
from refinery import state
from refinery.addresses import Addresses, of_running
from refinery.local import lifecycle
from refinery.settings import Settings
from track.reports.progress import session_progress
from track.schema.database import make_engine
from track.schema.tables import session as sessions

Say = Callable[[str], None]

POLL_SECONDS = 0.5
MAX_SECONDS = 900.0
CLOSE_OTHERS = text("UPDATE track.site SET open = (name = :site)")
REOPEN = text("UPDATE track.site SET open = true WHERE name = ANY(:names)")


class DemoError(RuntimeError):
    """The demonstration cannot go on; the message says why and what to do."""


@dataclass
class Demo:
    """One session's way through the system, and what is wrong with it in the end."""

    settings: Settings
    say: Say
    own: Path | None
    site: str
    from_workstation: bool = False
    finished: bool = False
    faults: list[str] = field(default_factory=list)

    async def show(self, addresses: Addresses) -> None:
        """Drop the session, follow it to its end, and print how each specimen ended."""
        engine = make_engine(addresses.database)
        try:
            await self._show_where_wanted(addresses, engine)
        finally:
            await engine.dispose()
        self.finished = True
        for fault in self.faults:
            self.say(f"not as it should be: {fault}")
        self.say(f"Prefect: {addresses.prefect}/runs")
        if self.settings.stand_in_ars:
            self.say(f"archived bytes: {self.settings.state / 'erda'}")

    async def _show_where_wanted(self, addresses: Addresses, engine: AsyncEngine) -> None:
        if slurm.is_wanted(self.settings, self.site):
            await self._show_on_slurm(addresses, engine)
        elif is_own(self.settings, self.site, agents.SITE):
            await self._show_on_agents(addresses, engine)
        elif is_own(self.settings, self.site, pull.SITE):
            await self._show_on_pull(addresses, engine)
        else:
            await self._show(engine)

    async def _show(self, engine: AsyncEngine) -> None:
        async with only_site(engine, self.site):
            path, wanted = await asyncio.to_thread(self._drop)
            self.say(f"session {'sent' if self.from_workstation else 'dropped'}: {path}")
            rows = await follow(engine, path)
        self.faults = list(judged(rows, wanted))

    async def _show_on_slurm(self, addresses: Addresses, engine: AsyncEngine) -> None:
        """The same at a Slurm of our own, whose records are then held against our attempts."""
        self.say("starting a Slurm: munged, slurmctld, two slurmd, an sshd before them")
        async with slurm.own_slurm(self.settings, addresses, engine) as lab:
            self.say(f"it is made ready; its login node is at port {lab.sshd.port}")
            since = await database_time(engine)
            await self._show(engine)
            self.faults += await slurm.held_against(engine, lab, since)
            self.say(f"by Slurm's own records: {slurm.counted(lab.records())}")

    async def _show_on_agents(self, addresses: Addresses, engine: AsyncEngine) -> None:
        """The same by agents that join and leave meanwhile; our records say what each did."""
        async with agents.own_agents(self.settings, addresses, engine, self.say) as play:
            since = await database_time(engine)
            await _both(self._show(engine), play.come_and_go())
            await play.leave_all()
            self.faults += await play.held_against(since)

    async def _show_on_pull(self, addresses: Addresses, engine: AsyncEngine) -> None:
        """The same by an agent that submits to a scheduler, whose records are held against us."""
        self.say("starting a Slurm, to which an agent submits by qsub as to a TORQUE")
        async with pull.own_pull(self.settings, addresses, engine, self.say) as (play, lab):
            since = await database_time(engine)
            await self._show(engine)
            await play.leave_all()
            self.faults += await play.held_against(since)
            self.faults += await slurm.held_against(engine, lab, since, pull.SITE)
            self.say(f"by Slurm's own records: {slurm.counted(lab.records())}")

    def _drop(self) -> tuple[Path, Mapping[str, Expectation] | None]:
        """Put the session on the N-Drive; photographs of the user's own have no expectations."""
        if self.from_workstation:
            return send_from_workstation(self.settings, of_running(self.settings), self.say)
        drive, workstation = self.settings.n_drive, self.settings.workstations[0]
        now = datetime.now().astimezone()
        if self.own is None:
            seed = int(now.timestamp())
            drawn = write_sample_session(drive, workstation=workstation, now=now, seed=seed)
            return drawn.path, drawn.expectations
        sent = write_photograph_session(drive, self.own, workstation=workstation, now=now)
        for left in sent.left_out:
            self.say(f"left out: {left.source}: {left.reason}")
        return sent.path, None


def run(
    settings: Settings,
    say: Say,
    *,
    once: bool,
    session: Path | None,
    site: str,
    from_workstation: bool = False,
) -> int:
    """Run the demonstration; 0 when every specimen ended as it should.

    With `once` whatever was started is stopped again; else the system is left running
    until Ctrl-C. A system that runs already is used as it is. `from_workstation` begins where a
    camera leaves its files, at the client.
    """
    demo = Demo(settings, say, session, site, from_workstation)

    async def work(addresses: Addresses) -> None:
        await demo.show(addresses)
        if not once:
            say("the system goes on running; Ctrl-C stops it")
            await lifecycle.for_ever(addresses)

    if state.read(settings).running():
        asyncio.run(demo.show(of_running(settings)))
    else:
        # A folder is taken after two quiet seconds instead of ten, and Prefect asks nobody for a
        # password, unless it is set otherwise.
        usual = {"REFINERY_SETTLE_SECONDS": "2", "REFINERY_PREFECT_LOGIN": "false"}
        environment = usual | dict(os.environ)
        lifecycle.up(Settings.load(settings.project_dir, environment), say, work)
    return 0 if demo.finished and not demo.faults else 1


async def _both(*works: Coroutine[Any, Any, None]) -> None:
    """Do both at a time; what the first one raises that fails ends the other."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def follow(engine: AsyncEngine, path: Path) -> Sequence[Row]:
    """Show the session's progress until it is finished. Raises DemoError when it never is."""
    deadline = time.monotonic() + MAX_SECONDS
    with SessionProgress(Console(), path.name) as progress:
        while time.monotonic() < deadline:
            rows, finished = await look(engine, path)
            progress.update(specimens(rows))
            if finished:
                progress.close(specimens(rows))
                return rows
            await asyncio.sleep(POLL_SECONDS)
    raise DemoError(
        f"{path} is not finished after {MAX_SECONDS / 60:.0f} minutes: see 'refinery logs' and "
        "the flow runs in the Prefect UI."
    )


async def look(engine: AsyncEngine, path: Path) -> tuple[list[Row], bool]:
    """The rows of the newest session that was opened as that folder, and whether it ended."""
    wanted = (
        select(sessions.c.id, sessions.c.finished_at)
        .where(sessions.c.opened_as == str(path))
        .order_by(sessions.c.opened_at.desc())
    )
    async with engine.connect() as tx:
        found = (await tx.execute(wanted)).first()
        if found is None:
            return [], False
        return await session_progress(tx, found.id), found.finished_at is not None


@asynccontextmanager
async def only_site(engine: AsyncEngine, site: str) -> AsyncIterator[None]:
    """Close every other site for a while; an empty name changes nothing."""
    if not site:
        yield
        return
    async with engine.begin() as tx:
        before = await tx.execute(text("SELECT name, open FROM track.site"))
        was = {name: is_open for name, is_open in before}
        if site not in was:
            raise DemoError(f"--site {site}: there are {', '.join(was)}; see the sites file.")
        await tx.execute(CLOSE_OTHERS, {"site": site})
    try:
        yield
    finally:
        async with engine.begin() as tx:
            again = [name for name, is_open in was.items() if is_open and name != site]
            await tx.execute(REOPEN, {"names": again})
