"""Agents of a system under fire: whichever ended is started again, whichever is gone replaced."""

import asyncio
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.lab.agent_process import AgentProcess, NotJoined
from demo.lab.agents import SITE, Say, let_join
from demo.lab.known_site import ACTOR
from demo.lab.machine import LabMachine, make_machine, open_folder
from refinery import state
from refinery.addresses import of_running
from refinery.processes import MARK
from refinery.settings import Settings
from track.commands.agents import gone
from track.jobs.agents import present_agents
from track.schema.database import make_engine, transact

UNITS = (1, 2)
"""The units of each agent, all of them processes of its machine."""

NOT_NOW = (NotJoined, state.NotRunning, subprocess.TimeoutExpired)
"""Why none can join at a moment at which a system under fire is down, beside the database's own."""


class StandingAgents:
    """So many agents as there are `UNITS`, at a site of the running system."""

    def __init__(self, settings: Settings, machine: LabMachine, say: Say) -> None:
        self._settings, self._machine, self._say = settings, machine, say
        self._agents: list[AgentProcess] = []
        self._numbers = itertools.count(1)
        self._said = ""

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
        """Let one more join; another time, if that cannot be now, and why is said once."""
        name = f"agent-{next(self._numbers)}"
        made = AgentProcess(self._machine, name, {MARK: state.mark(self._settings)}, units)
        try:
            asyncio.run(self._let_join(made))
        except (*NOT_NOW, SQLAlchemyError, OSError) as trouble:
            words = str(trouble).partition("\n")[0]
            if words != self._said:
                self._say(f"  no agent can join: {words}")
            self._said = words
            return
        self._said = ""
        self._agents.append(made)
        made.start()

    async def _let_join(self, made: AgentProcess) -> None:
        addresses = of_running(self._settings)
        engine = make_engine(addresses.database)
        try:
            await transact(engine, self._forget_others)
            await let_join(engine, addresses, SITE, made, "--process", str(made.units))
        finally:
            await engine.dispose()

    async def _forget_others(self, tx: AsyncConnection) -> None:
        """Say of agents of an earlier system, or that joined and never heard of it, that they are
        gone."""
        ours = [agent.number for agent in self._agents]
        for row in await present_agents(tx, SITE):
            if row.id not in ours:
                await gone(tx, row.id, evidence="nobody has started it", actor=ACTOR)


@contextmanager
def standing_agents(settings: Settings, say: Say) -> Iterator[StandingAgents]:
    """Agents in a folder of their own, which is removed afterwards. Raises NoMachine."""
    with open_folder("agents-") as folder:
        agents = StandingAgents(settings, make_machine(folder), say)
        try:
            yield agents
        finally:
            agents.close()
