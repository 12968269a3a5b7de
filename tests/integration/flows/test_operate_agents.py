"""What operators see of agents and tell them: in Prefect, at a terminal, as an alarm."""

import re
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterKey,
)
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from api.metrics import Metrics
from flows.operate import agent as operate
from flows.reconcile import reconcile
from flows.sites import doctor
from refinery.agents import tables
from schemas import events
from schemas.agents import Join
from schemas.alarm_patience import DEFAULT_PATIENCE
from schemas.launchers import Units
from tasks.upkeep.silence import watch_agents
from tests.support.agents import MODULES, PULL
from tests.support.world import HERE, World, install_sites, new
from track.commands.selection import CannotDo
from track.jobs import agents
from track.records.outbox import due
from track.reports.agents import agents_seen
from track.schema.database import transact

BODY = Join(name="node7", token="t" * 50, capacity=Units(process=4, scheduler=100), version="1")


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    made = await World.make(engine, MODULES)
    await transact(engine, install_sites, [HERE, PULL])
    return made


async def shown(key: str) -> str:
    """What the artifact of this key has to say."""
    wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
    async with get_client() as client:
        (found,) = await client.read_latest_artifacts(artifact_filter=wanted)
    return str(found.data)


async def joined(world: World) -> agents.Agent:
    await transact(world.engine, agents.allow_join, "far", "a-token", 1, 60.0)
    return await transact(world.engine, agents.join, "far", "a-token", BODY)


async def silent(world: World, minutes: int) -> None:
    await world.sql("UPDATE track.agent SET seen_at = now() - make_interval(mins => :m)", m=minutes)


async def test_a_join_token_is_shown_in_an_artifact_and_nowhere_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    state = await operate(by="ib", join="far", machines=2, return_state=True)
    assert "2 may join" in str(state.message)
    (token,) = re.findall(r"^    (\S{43})$", await shown("operate-agent-join"), re.MULTILINE)
    for n in range(2):
        body = BODY.model_copy(update={"token": f"{n}" * 50})
        assert await transact(world.engine, agents.join, "far", token, body)
    said = [*await world.rows("SELECT h::text AS row FROM track.history h")]
    assert token not in caplog.text and token not in str(state.message)
    assert not [row for row in said if token in row["row"]]


async def test_an_operator_is_told_what_to_write(world: World) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"join": "here"}, "of kind local"),
        ({"join": "fra"}, "far"),
        ({}, "agent: name one"),
        ({"agent": 1}, "one of order, capacity, prefixes"),
        ({"agent": 1, "order": "run", "capacity": {"process": 1}}, "one of order"),
        ({"agent": 99, "order": "drain"}, "there is no agent 99"),
    ]
    for given, words in wrong:
        with pytest.raises(CannotDo, match=words):
            await operate(by="ib", **given)


async def test_orders_capacities_and_paths_are_set_by_a_deployment(world: World) -> None:
    one = await joined(world)
    for given, words in (
        ({"order": "drain"}, "run → drain"),
        ({"order": "drain"}, "left as it was"),
        ({"capacity": {"process": 8}}, "process 8, scheduler 100"),
        ({"prefixes": {"/groups/a": "/mnt/a"}}, "/groups/a as /mnt/a"),
        ({"order": "rotate"}, "asked for"),
        ({"order": "revoke"}, "valid → revoked"),
        ({"order": "gone", "why": "sold"}, "drain → gone"),
    ):
        state = await operate(by="ib", agent=one.id, return_state=True, **given)
        assert words in str(state.message), state.message
    told = await world.rows("SELECT what FROM track.history WHERE actor = 'operator:ib'")
    assert len(told) == 6


async def test_reconcile_gives_on_what_a_silent_agent_left(world: World) -> None:
    one = await joined(world)
    await world.register(new("g", pipeline="TILES"))
    (found,) = [each for each in await world.claim(50, "g") if each.stage == "light"]
    attempt = await world.enqueue(found.job_id, "far")
    await world.sql(
        "UPDATE track.attempt SET agent_id = :a, lease_until = now() - interval '1 day'", a=one.id
    )
    state = await reconcile(return_state=True)
    assert "attempts lost 1" in str(state.message)
    (row,) = await world.rows("SELECT outcome FROM track.attempt WHERE id = :i", i=attempt)
    assert row["outcome"] == "lost"


async def announced(world: World) -> list[dict[str, Any]]:
    """The events that Prefect is owed, but for those that people read."""
    found = [each.event for each in await transact(world.engine, due, 100)]
    return [each for each in found if not each["event"].startswith("specimen.alarm.")]


async def test_an_agent_that_is_silent_is_announced_once_and_so_is_its_return(
    world: World,
) -> None:
    await joined(world)

    async def look() -> list[dict[str, Any]]:
        await world.sql("DELETE FROM track.outbox")
        await watch_agents(world.engine, DEFAULT_PATIENCE)
        return await announced(world)

    assert await look() == []
    await silent(world, 10)
    (told,) = await look()
    assert told["event"] == events.SERVICE_SILENT
    assert "node7) of site far was last heard of 10 min ago" in told["payload"]["why"]
    assert "order=gone" in told["payload"]["remedy"]
    assert await look() == []
    await silent(world, 0)
    await look()
    rows = "SELECT new FROM track.history WHERE what LIKE 'alarm.agent.%' ORDER BY id"
    assert [row["new"] for row in await world.rows(rows)] == ["on", "off"]


async def test_an_agent_whose_machine_can_begin_nothing_is_announced_and_shown(
    world: World,
) -> None:
    one = await joined(world)
    await world.sql("""UPDATE track.agent SET load = '{"trouble": "no numpy"}'""")
    await watch_agents(world.engine, DEFAULT_PATIENCE)
    (told,) = await announced(world)
    assert told["payload"]["why"].endswith("(node7) of site far takes no work: no numpy")
    state = await doctor(by="ib", site="far", return_state=True)
    assert f"agent {one.id} (node7)" in str(state.message)
    async with world.engine.connect() as tx:
        (seen,) = await agents_seen(tx)
    assert (seen.trouble, seen.state) == ("no numpy", "idle")


async def test_the_doctor_looks_at_agents_and_their_queue(world: World) -> None:
    state = await doctor(by="ib", site="far", return_state=True)
    assert "agents" in str(state.message)
    one = await joined(world)
    assert (await doctor(by="ib", site="far", return_state=True)).message == "well"
    await silent(world, 10)
    state = await doctor(by="ib", site="far", return_state=True)
    assert f"agent {one.id} (node7)" in str(state.message)
    assert re.search(r"unavailable, heard of 6\d\d s ago", await shown("site-far"))


async def test_queues_and_agents_are_seen_at_a_terminal_and_by_prometheus(world: World) -> None:
    await joined(world)
    await world.register(new("g", pipeline="TILES"))
    (found,) = [each for each in await world.claim(50, "g") if each.stage == "light"]
    await world.enqueue(found.job_id, "far")
    console = Console(width=120, record=True, file=None, quiet=False)
    async with world.engine.connect() as tx:
        page = (await Metrics().page(tx)).decode()
        for table in await tables(tx):
            console.print(table)
    text = console.export_text()
    assert re.search(r"far\s+│ pull\s+│ 1\s+│ \d s", text), text
    assert re.search(r"node7 │ far\s+│ connected │ run\s+│ process 0/4, scheduler 0/100", text), (
        text
    )
    assert 'refinery_queue_jobs{site="far"} 1.0' in page
    assert 'launcher="process",site="far"} 4.0' in page
