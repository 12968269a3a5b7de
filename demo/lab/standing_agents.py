"""Agents of a system under fire: whichever ended is started again, whichever is gone replaced."""

import asyncio
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.lab.agent_process import AgentProcess, NotJoined
from demo.lab.agents import SITE
from demo.lab.known_site import ACTOR
from demo.lab.machine import LabMachine, make_machine
from refinery import state
from refinery.addresses import of_running
from refinery.processes import MARK
from refinery.settings import Settings
from track.commands.agents import allow_joining, gone
from track.schema.database import make_engine, transact

UNITS = (1, 2)
"""The units of each agent, all of them processes of its machine."""

BEFORE = text("SELECT id FROM track.agent WHERE site = :site AND gone_at IS NULL")


class StandingAgents:
    """So many agents as there are `UNITS`, at a site of the running system."""

    def __init__(self, settings: Settings, machine: LabMachine) -> None:
        self._settings, self._machine = settings, machine
        self._agents: list[AgentProcess] = []
        self._numbers = itertools.count(1)

    def bring_up(self) -> None:
        """Have all of them at work, as far as somebody answers them now.

        Raises NotJoined when one ended in another way than by a signal or by being shut out.
        """
        for agent in list(self._agents):
            self._look_after(agent)
        missing = list(UNITS)
        for agent in self._agents:
            missing.remove(agent.units)
        for units in missing:
            self._join(units)

    def close(self) -> None:
        """End them and all that they started."""
        for agent in self._agents:
            agent.close()

    def _look_after(self, agent: AgentProcess) -> None:
        code = None if agent.process is None else agent.process.poll()
        if code is None:
            return
        if code == os.EX_NOPERM:
            agent.close()
            self._agents.remove(agent)
        elif code > 0:
            agent.has_ended()
        else:
            agent.start()

    def _join(self, units: int) -> None:
        """Let one more join; another time, if nobody answers now."""
        name = f"agent-{next(self._numbers)}"
        made = AgentProcess(self._machine, name, {MARK: state.mark(self._settings)}, units)
        token = secrets.token_urlsafe(32)
        try:
            asyncio.run(self._allow(token))
            server = of_running(self._settings).clusters
            made.join(server, SITE, token, "--process", str(units))
        except (NotJoined, SQLAlchemyError, OSError, subprocess.TimeoutExpired):
            return
        self._agents.append(made)
        made.start()

    async def _allow(self, token: str) -> None:
        async def work(tx: AsyncConnection) -> None:
            await _forget_others(tx, [agent.number for agent in self._agents])
            await allow_joining(tx, SITE, token, 1, 1.0, actor=ACTOR)

        engine = make_engine(of_running(self._settings).database)
        try:
            await transact(engine, work)
        finally:
            await engine.dispose()


async def _forget_others(tx: AsyncConnection, numbers: list[int]) -> None:
    """Say of agents of an earlier system, or that joined and never heard of it, that they are
    gone."""
    for number in (await tx.execute(BEFORE, {"site": SITE})).scalars().all():
        if number not in numbers:
            await gone(tx, number, evidence="nobody has started it", actor=ACTOR)


@contextmanager
def standing_agents(settings: Settings) -> Iterator[StandingAgents]:
    """Agents in a folder of their own, which is removed afterwards. Raises NoMachine."""
    # Where every user can enter, unlike the state folder of a project in somebody's home.
    folder = Path(tempfile.mkdtemp(prefix="agents-"))
    try:
        folder.chmod(0o755)
        agents = StandingAgents(settings, make_machine(folder))
        try:
            yield agents
        finally:
            agents.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
