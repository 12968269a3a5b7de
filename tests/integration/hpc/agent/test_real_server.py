"""The packed agent as a process of another user, against the real API on a real PostgreSQL."""

import asyncio
import hashlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from hpc.agent.processes import is_alive
from hpc.archives import build_agent, build_runner
from schemas.sites import Site
from tests.integration.hpc.agent.conftest import end_children
from tests.support.agent_site import RUNNER
from tests.support.callbacks import cluster_config, until
from tests.support.events_server import EventsServer
from tests.support.packed_agent import PackedAgent
from tests.support.serving import free_port, serving
from tests.support.slow_runner import slow_runner
from tests.support.world import World, install_sites, new
from track.commands.agents import allow_joining
from track.commands.operations import cancel
from track.schema.database import transact
from track.schema.states import State

NOBODY = 65534
TILES: dict[str, Any] = {
    "pipeline": "TILES",
    "stages": [
        {"key": "light", "run": "module load"},
        {"key": "clean", "run": "module clean"},
        {"key": "makes", "run": "module load", "outputs": ["made.txt"]},
    ],
}
PYTHON = "/usr/bin/python3"
"""One that another user may run; ours lies in somebody's home."""


@dataclass
class FarSite:
    """The API at `url` with a world behind it, and a site whose work agents take."""

    url: str
    world: World
    engine: AsyncEngine

    async def queue(self, *guids: str, stage: str = "light") -> list[int]:
        """Put a stage of new assets into the site's queue; the attempts, in order."""
        await self.world.register(*[new(guid, pipeline="TILES") for guid in guids])
        await self.world.describe(*guids)
        made = []
        for guid in guids:
            claims = {each.stage: each for each in await self.world.claim(50, guid)}
            made.append(await self.world.enqueue(claims[stage].job_id, "far"))
        return made

    async def returned(self, *guids: str, stage: str = "light") -> bool:
        """Whether the jobs of all these assets have come back."""
        states = [(await self.world.states(guid))[stage] for guid in guids]
        return set(states) == {State.RETURNED}

    async def outcomes(self) -> list[tuple[int, str | None]]:
        """Each attempt and how it ended, in order."""
        rows = await self.world.rows("SELECT id, outcome FROM track.attempt ORDER BY id")
        return [(row["id"], row["outcome"]) for row in rows]

    async def join(self, agent: PackedAgent) -> None:
        """Let an agent join."""
        await transact(self.engine, allow_joining, "far", "join-token-1", 1, 1.0, actor="test")
        told = ["--server", self.url, "--site", "far", "--root", str(agent.root)]
        told += ["--python", PYTHON, "--process", "2"]
        secret = {"REFINERY_JOIN_TOKEN": "join-token-1"}
        done = await asyncio.to_thread(agent.run, "join", *told, **secret)
        assert done.returncode == 0, done.stderr
        assert "joined site far as agent" in done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of another user's, where nothing of ours is."""
    made = Path(tempfile.mkdtemp(prefix="agent-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def agent(folder: Path) -> Iterator[PackedAgent]:
    """The agent, run by another user where we may do that."""
    shutil.copy(build_agent(folder / "packed"), folder / "agent.pyz")
    (folder / "agent.pyz").chmod(0o755)
    made = PackedAgent(folder, folder / "agent.pyz", PYTHON)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        made.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    yield made
    end_children(made)


def small_runner(folder: Path) -> Path:
    """The runner of these tests."""
    return named(folder, RUNNER.encode())


def printing_runner(folder: Path) -> Path:
    """The real one, whose module prints a line and then waits."""
    return named(folder, slow_runner(folder).read_bytes())


def named(folder: Path, runner: bytes) -> Path:
    """A runner as a file with the name of one."""
    path = folder / f"runner-{hashlib.sha256(runner).hexdigest()}.pyz"
    path.write_bytes(runner)
    return path


@pytest.fixture(params=[build_runner], ids=["ours"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What the API hands out: our own, unless a test asks for the small one."""
    made: Path = request.param(tmp_path)
    return made


@pytest.fixture
async def far(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path, runner: Path
) -> AsyncIterator[FarSite]:
    """The API on a free port of this host."""
    config = cluster_config(database, prefect.url, tmp_path, runner=runner)
    world = await World.make(engine, TILES)
    async with serving(create_app(config), free_port()) as url:
        site = Site.model_validate({"site": "far", "kind": "pull", "callback": url})
        await transact(engine, install_sites, [site])
        yield FarSite(url, world, engine)


small = pytest.mark.parametrize("runner", [small_runner], indirect=True, ids=["small"])


async def turn(agent: PackedAgent, *words: str) -> str:
    """One whole turn; what it had to say."""
    done = await asyncio.to_thread(agent.run, "run", "--once", *words)
    assert done.returncode == 0, done.stderr
    return done.stderr


def folders(agent: PackedAgent) -> list[Path]:
    """The folders of batches that are there."""
    return sorted((agent.root / "batches").iterdir())


async def test_another_user_without_database_or_repository_does_the_work(
    far: FarSite, agent: PackedAgent
) -> None:
    await far.join(agent)
    attempts = await far.queue("a", "b", "c")
    said = []

    async def is_over() -> bool:
        said.append(await turn(agent))
        return await far.returned("a", "b", "c") and folders(agent) == []

    await until(is_over, 60)
    assert await far.outcomes() == [(attempt, "done") for attempt in attempts]
    token = agent.home / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.stat().st_uid == (NOBODY if os.geteuid() == 0 else os.geteuid())
    secret = token.read_text().strip().partition(".")[2]
    written = "".join(said) + (agent.home / "journal.jsonl").read_text()
    assert secret not in written
    rows = await far.world.rows("SELECT name, held, version FROM track.agent")
    assert len(rows) == 1


@small
async def test_one_that_is_killed_while_work_runs_goes_on_where_it_was(
    far: FarSite, agent: PackedAgent
) -> None:
    await far.join(agent)
    await far.queue("slow-1", "good-2")
    process = await asyncio.to_thread(agent.start)
    try:

        async def begun() -> bool:
            return (agent.root / "work.log").exists()

        await until(begun, 60)
    finally:
        process.kill()
        process.communicate(timeout=20)
    assert any(is_alive(folder) for folder in folders(agent)), "its work outlives it"
    (agent.root / "go-on").touch()

    async def is_over() -> bool:
        await turn(agent)
        return await far.returned("slow-1", "good-2") and folders(agent) == []

    await until(is_over, 60)
    worked = (agent.root / "work.log").read_text().split()
    assert len(worked) == len(set(worked)) == 2
    assert {outcome for _, outcome in await far.outcomes()} == {"done"}


@pytest.mark.parametrize("runner", [printing_runner], indirect=True, ids=["printing"])
async def test_what_was_printed_is_told_of_those_whose_runner_is_killed(
    far: FarSite, agent: PackedAgent
) -> None:
    await far.join(agent)
    for guid, said in (("slow-1", "looks at slow-1\n"), ("mute-2", "")):
        await far.queue(guid, stage="clean")
        await turn(agent)

        async def begun(said: str = said) -> bool:
            kept = [path.read_text() for path in agent.root.glob("batches/*/log/*.output")]
            return said in kept

        await until(begun, 60)
        end_children(agent)

        async def is_over() -> bool:
            await turn(agent)
            return None not in [outcome for _, outcome in await far.outcomes()]

        await until(is_over, 60)
    rows = await far.world.rows("SELECT outcome, result FROM track.attempt ORDER BY id")
    assert [row["result"] for row in rows] == [{"printed": "looks at slow-1"}, {"printed": ""}]


@small
async def test_an_operators_cancel_stops_what_runs(far: FarSite, agent: PackedAgent) -> None:
    await far.join(agent)
    await far.queue("slow-1")
    await turn(agent)

    async def begun() -> bool:
        return (agent.root / "work.log").exists()

    await until(begun, 60)
    job_id = await far.world.job_id("slow-1", "light")
    await transact(far.engine, cancel, job_id, actor="test", why="not wanted")

    async def is_over() -> bool:
        await turn(agent)
        return [outcome for _, outcome in await far.outcomes()] == ["cancelled"]

    await until(is_over, 60)
    assert (await far.world.states("slow-1"))["light"] == State.CANCELLED


@small
async def test_outputs_arrive_by_their_content_and_then_the_folder_goes(
    far: FarSite, agent: PackedAgent, tmp_path: Path
) -> None:
    await far.join(agent)
    await far.queue("makes-1", stage="makes")

    async def arrived() -> list[Path]:
        await turn(agent)
        return list((tmp_path / "outputs").rglob("made.txt"))

    (path,) = await until(arrived, 60)
    assert path.read_text() == "makes-1"

    async def is_over() -> bool:
        await turn(agent)
        return folders(agent) == []

    await until(is_over, 60)
    assert (agent.root / "assets" / "makes-1" / "made.txt").exists()


async def test_a_token_that_does_not_count_any_more_ends_it_with_what_to_do(
    far: FarSite, agent: PackedAgent
) -> None:
    await far.join(agent)
    (agent.home / "token").write_text("1.of-somebody-else")
    done = await asyncio.to_thread(agent.run, "run", "--once")
    assert done.returncode == os.EX_NOPERM
    assert "join again" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


async def test_one_that_runs_ends_at_a_word_and_is_alone(far: FarSite, agent: PackedAgent) -> None:
    await far.join(agent)
    await far.queue("a")
    process = await asyncio.to_thread(agent.start)
    try:

        async def is_done() -> bool:
            return await far.returned("a")

        await until(is_done, 60)
        second = await asyncio.to_thread(agent.run, "run", "--once")
        assert (second.returncode, "already" in second.stderr) == (0, True)
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, "told to end" in said) == (0, True)
