"""Agents ask for work, hold it, and tell what became of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.archive import NoToken
from schemas.agents import MAX_WAIT_S
from tests.support.agents import (
    MODULES,
    AgentByHand,
    attempts,
    members,
    runner_in,
    take_pull_sites,
)
from tests.support.callbacks import Cluster, cluster_config, until
from tests.support.events_server import EventsServer
from tests.support.world import edit, new
from track.commands import agents
from track.commands.operations import cancel
from track.commands.selection import CannotDo
from track.schema.database import transact
from track.schema.states import State


@pytest.fixture
async def far(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The application, with sites whose work agents take, and stages that ask for agents."""
    config = cluster_config(database, prefect.url, tmp_path, runner=runner_in(tmp_path))
    async with Cluster.open(engine, config) as made:
        await edit(engine, MODULES)
        await take_pull_sites(made)
        yield made


async def queue(
    cluster: Cluster, stage: str, n: int, site: str = "far", first: str = "t"
) -> list[int]:
    """Put one stage of `n` new assets into a site's queue; the attempts, in order."""
    guids = [f"{first}{stage}{i:05}" for i in range(n)]
    await cluster.world.register(*[new(guid, pipeline="TILES") for guid in guids])
    await cluster.world.describe(*guids)
    made = []
    for guid in guids:
        (found,) = [each for each in await cluster.world.claim(50, guid) if each.stage == stage]
        made.append(await cluster.world.enqueue(found.job_id, site))
    return made


async def expire(cluster: Cluster, minutes: float) -> None:
    """Have every lease have run out so long ago, by the database's clock."""
    await cluster.world.sql(
        "UPDATE track.attempt SET lease_until = now() - make_interval(secs => :s)"
        " WHERE lease_until IS NOT NULL AND closed_at IS NULL",
        s=minutes * 60.0,
    )


async def test_what_an_agent_starts_itself_comes_with_its_grant_and_counts_as_started(
    far: Cluster,
) -> None:
    (attempt,) = await queue(far, "light", 1)
    agent = await AgentByHand.join(far)
    (batch,) = await agent.claim()
    (member,) = batch["members"]
    assert (batch["launcher"], batch["stage"], batch["units"]) == ("process", "light", 1)
    assert (member["attempt"], member["fence"], member["line"]["module"]) == (attempt, 1, "load")
    assert member["grant"]["metadata"]["institution"] == "NHMD"
    assert member["grant"]["ars"]["token"] == "ars-token"
    row = await far.attempt(attempt)
    assert (row["agent_id"], row["started_by"]) == (agent.id, batch["key"])
    assert (await far.job("tlight00000", "light"))["state"] == State.RUNNING
    done = await agent.complete(member, details={"seen": 1})
    assert done == {"attempt": attempt, "status": 200, "applied": "applied", "error": None}
    assert (await far.job("tlight00000", "light"))["state"] == State.RETURNED
    events = await far.rows("SELECT kind FROM track.inbox WHERE attempt_id = :a", a=attempt)
    assert [row["kind"] for row in events] == ["finished"]


async def test_a_claim_whose_answer_was_lost_is_answered_the_same(far: Cluster) -> None:
    await queue(far, "light", 3)
    agent = await AgentByHand.join(far)
    first = await agent.claim(2, request_id="request-1")
    assert await agent.claim(2, request_id="request-1") == first
    assert await agent.claim(4, request_id="request-1") == first
    other = await agent.claim(4, request_id="request-2")
    assert not {*attempts(*first)} & {*attempts(*other)}
    await agent.complete(first[0]["members"][0])
    again = await agent.claim(2, request_id="request-1")
    assert attempts(*again) == attempts(*first)[1:]


async def test_jobs_of_a_cluster_ask_for_their_start_unless_their_nodes_have_no_network(
    far: Cluster,
) -> None:
    await queue(far, "light", 2)
    agent = await AgentByHand.join(far, capacity={"scheduler": 10})
    (batch,) = await agent.claim(0, 10)
    assert batch["launcher"] == "scheduler"
    assert [each["grant"] for each in batch["members"]] == [None, None]
    assert [each["line"]["callback"] for each in batch["members"]] == ["https://api.test"] * 2
    told = await agent.post("submitted", batches=[{"key": batch["key"], "native_id": "12[].c"}])
    assert told == {"batches": {batch["key"]: "applied"}}
    assert (await far.attempt(attempts(batch)[1]))["external_id"] == "12[1].c"
    await far.own(attempts(batch)[0], "start", {"native_id": "12[0].c", "nonce": "x"})

    await queue(far, "light", 1, "dark", first="u")
    agent = await AgentByHand.join(far, "dark", capacity={"scheduler": 10})
    (batch,) = await agent.claim(0, 10)
    (member,) = batch["members"]
    assert member["grant"]["module"] == "load"
    assert (await far.job("ulight00000", "light"))["state"] == State.QUEUED
    assert (await agent.complete(member))["status"] == 409  # nobody had its start
    assert (await agent.tell(member, "start", native_id="n", nonce="x"))["applied"] == "applied"
    assert (await agent.complete(member))["applied"] == "applied"


async def test_a_stage_costs_what_it_says_and_runs_where_it_has_room(far: Cluster) -> None:
    agent = await AgentByHand.join(far, capacity={"process": 40, "scheduler": 3})
    await queue(far, "split", 6)
    batches = await agent.claim(40, 3)
    # Two of 18 fit into the 40 units, and the cluster takes three at 1 each.
    assert [(each["launcher"], each["units"], len(each["members"])) for each in batches] == [
        ("process", 18, 1),
        ("process", 18, 1),
        ("scheduler", 1, 3),
    ]
    assert await agent.claim(40, 3) == []  # it was given what it has, whatever it says
    await agent.complete(batches[0]["members"][0])
    (last,) = await agent.claim(40, 3)
    assert last["launcher"] == "process"


async def test_nothing_lighter_passes_a_heavy_job_that_waits_for_its_room(far: Cluster) -> None:
    agent = await AgentByHand.join(far, capacity={"process": 20})
    light = await queue(far, "light", 3, first="a")
    (heavy,) = await queue(far, "heavy", 1, first="b")
    await far.world.sql("UPDATE track.attempt SET position = 0")
    later = await queue(far, "light", 3, first="c")
    await far.world.sql("UPDATE track.attempt SET position = 0")
    batches = await agent.claim(20)
    assert sorted(attempts(*batches)) == light
    assert await agent.claim(20) == []  # 17 units are free, and kept for it
    await agent.complete(members(*batches)[0])
    (batch, *more) = await agent.claim(20)
    assert (attempts(batch), more) == ([heavy], [])
    for each in members(*batches)[1:]:
        await agent.complete(each)
    assert sorted(attempts(*await agent.claim(20))) == later[:2]


async def test_what_an_agent_could_never_take_keeps_nothing_from_it(far: Cluster) -> None:
    small = await AgentByHand.join(far, capacity={"process": 4})
    marked = await AgentByHand.join(far, capacity={"process": 4}, labels=["gpu", "ssd"])
    (asks,) = await queue(far, "marked", 1)
    await queue(far, "heavy", 1)
    (light,) = await queue(far, "light", 1)
    assert attempts(*await small.claim()) == [light]
    assert attempts(*await marked.claim()) == [asks]


async def test_a_runner_takes_several_only_when_every_unit_of_the_site_has_one(
    far: Cluster,
) -> None:
    await queue(far, "light", 12)
    two, one = [await AgentByHand.join(far, capacity={"process": n}) for n in (2, 1)]
    batches = await two.claim(2)
    assert [len(each["members"]) for each in batches] == [4, 4]
    # Of the four that are left, and three units, it takes its share.
    assert [len(each["members"]) for each in await one.claim(1)] == [2]


async def test_an_agent_that_drains_gets_nothing_from_that_moment_on(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    waiting = asyncio.create_task(agent.claim(wait_s=MAX_WAIT_S))
    await until(lambda: far.rows("SELECT 1 FROM track.agent WHERE seen_at > joined_at"))
    line = await transact(far.engine, agents.set_order, agent.id, "drain", actor="operator:ib")
    assert line.changed
    assert await asyncio.wait_for(waiting, 10) == []
    await queue(far, "light", 1)
    assert (await agent.post("claim", request_id="a-request", free={"process": 4}))[
        "order"
    ] == "drain"
    await transact(far.engine, agents.set_order, agent.id, "run", actor="operator:ib")
    assert len(await agent.claim()) == 1


async def test_a_claim_waits_for_work_and_hears_of_it_at_once(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    waiting = asyncio.create_task(agent.claim(wait_s=MAX_WAIT_S))
    await until(lambda: far.rows("SELECT 1 FROM track.agent WHERE seen_at > joined_at"))
    attempt = await queue(far, "light", 1)
    assert attempts(*await asyncio.wait_for(waiting, 4)) == attempt  # before it looks itself


async def test_a_heartbeat_renews_what_is_held_and_says_what_is_to_stop(far: Cluster) -> None:
    agent, other = [await AgentByHand.join(far) for _ in range(2)]
    await queue(far, "light", 3)
    batches = await agent.claim(3)
    first, second, third = attempts(*batches)
    await expire(far, 1)
    told = await agent.heartbeat(*batches, load={"process": 3})
    assert told["attempts"] == {str(each): "ok" for each in (first, second, third)}
    assert set(told["batches"].values()) == {"keep"}
    left = await far.rows("SELECT 1 FROM track.attempt WHERE lease_until > now() + '14 min'")
    assert len(left) == 3
    # Nobody renews what is another's, nor under an earlier fence.
    assert set((await other.heartbeat(*batches))["attempts"].values()) == {"lost"}
    stale = [{"attempt": first, "fence": 7}]
    assert (await agent.heartbeat(attempts=stale))["attempts"] == {str(first): "lost"}
    await transact(
        far.engine, cancel, (await far.attempt(second))["job_id"], actor="operator:ib", why=""
    )
    await agent.complete(members(*batches)[2])
    told = await agent.heartbeat(*batches)
    assert told["attempts"] == {str(first): "ok", str(second): "cancel", str(third): "lost"}
    assert told["batches"][batches[2]["key"]] == "remove"
    row = await far.row("SELECT load, held FROM track.agent WHERE id = :i", i=agent.id)
    assert (row["load"], row["held"]) == ({}, 6)


async def test_a_late_result_of_an_attempt_that_is_still_its_agents_is_taken(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 1)
    (batch,) = await agent.claim()
    await expire(far, 4)
    assert await transact(far.engine, agents.reap) == []
    reason = (await far.job("tlight00000", "light"))["reason"]
    assert "agent node was not heard of since" in reason and "in 1 min" in reason
    assert (await agent.complete(batch["members"][0]))["applied"] == "applied"
    assert (await far.job("tlight00000", "light"))["tries"] == 0


async def test_a_result_of_before_is_refused_and_nothing_is_written_once_another_has_it(
    far: Cluster,
) -> None:
    lost, other = [await AgentByHand.join(far) for _ in range(2)]
    await queue(far, "light", 1)
    (before,) = await lost.claim()
    await expire(far, 6)
    (line,) = await transact(far.engine, agents.reap)
    assert "was not heard of" in line
    job = await far.job("tlight00000", "light")
    assert (job["state"], job["tries"]) == (State.READY, 0)
    (claimed,) = await far.world.claim(guid="tlight00000")
    await far.world.enqueue(claimed.job_id, "far")
    (after,) = await other.claim()
    written = await far.rows("SELECT id FROM track.inbox")
    refused = await lost.complete(before["members"][0], details={"by": "the first"})
    assert (refused["status"], refused["applied"]) == (409, None)
    assert await far.rows("SELECT id FROM track.inbox") == written
    assert (await lost.heartbeat(before))["attempts"] == {str(attempts(before)[0]): "lost"}
    assert (await other.complete(after["members"][0], details={"by": "the second"}))[
        "status"
    ] == 200
    assert (await far.job("tlight00000", "light"))["details"] == {"by": "the second"}
    # An attempt that is another agent's is none of its own under any fence.
    assert (await lost.complete(after["members"][0]))["status"] == 409


async def test_the_same_result_twice_is_one(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 1)
    (batch,) = await agent.claim()
    (member,) = batch["members"]
    assert (await agent.complete(member))["applied"] == "applied"
    assert (await agent.complete(member))["applied"] == "repeated"
    assert await far.inbox("finished") == ["applied"]


async def test_one_message_that_cannot_be_taken_keeps_no_other_from_counting(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 2)
    one, two = members(*await agent.claim(2))
    bodies: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (one, {"native_id": "n", "nonce": "x", "result": {"details": {"nul": "\0"}}}),
        ({"attempt": 10**9, "fence": 1}, {"native_id": "n", "nonce": "x", "result": {}}),
        (two, {"native_id": "n", "nonce": "x", "result": {}}),
    ]
    told = await agent.post(
        "messages",
        messages=[
            {"path": f"/attempts/{m['attempt']}/complete", "fence": m["fence"], "body": body}
            for m, body in bodies
        ],
    )
    assert [each["status"] for each in told["outcomes"]] == [422, 409, 200]
    assert "result.details" in told["outcomes"][0]["error"]


@pytest.mark.parametrize(
    ("end", "state", "tries", "outcome"),
    [
        ({"state": "failed", "exit_code": 9, "started": True}, State.READY, 1, "failed"),
        ({"state": "failed", "exit_code": 9, "started": False}, State.READY, 0, "lost"),
        ({"state": "out_of_memory"}, State.READY, 1, "out_of_memory"),
        ({"state": "node_fail"}, State.READY, 0, "node_fail"),
        ({"state": "a word of next year"}, State.READY, 0, "lost"),
    ],
)
async def test_what_an_end_without_a_result_means_is_for_the_server_to_say(
    far: Cluster, end: dict[str, Any], state: State, tries: int, outcome: str
) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 1)
    ((member,),) = [each["members"] for each in await agent.claim()]
    assert (await agent.tell(member, "ended", native_id="n", **end))["applied"] == "applied"
    job = await far.job("tlight00000", "light")
    assert (job["state"], job["tries"]) == (state, tries)
    assert (await far.attempt(member["attempt"]))["outcome"] == outcome
    assert (await agent.tell(member, "ended", native_id="n", **end))["applied"] == "repeated"


async def test_what_a_scheduler_said_is_shown_on_the_job(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 1)
    ((member,),) = [each["members"] for each in await agent.claim()]
    end = {"state": "failed", "started": False, "why": "qsub: Unknown queue"}
    assert (await agent.tell(member, "ended", native_id="n", **end))["applied"] == "applied"
    job = await far.job("tlight00000", "light")
    assert "it failed before it started: qsub: Unknown queue;" in str(job["reason"])


async def test_an_agent_that_is_gone_loses_all_that_it_has_at_once_and_no_try_is_used(
    far: Cluster,
) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 3)
    batches = await agent.claim(3)
    done = members(*batches)[0]
    output = {"path": "a.h5", "size_bytes": 3, "sha256": "0" * 64}
    await agent.complete(done, outputs=[output])
    with pytest.raises(CannotDo, match="why"):
        await transact(far.engine, agents.gone, agent.id, evidence=" ", actor="operator:ib")
    line = await transact(
        far.engine, agents.gone, agent.id, evidence="its disk is broken", actor="operator:ib"
    )
    assert "2 attempts" in line.note
    jobs = await far.rows("SELECT state, tries FROM track.job WHERE asset_guid LIKE 'tlight%'")
    kept = Counter((row["state"], row["tries"]) for row in jobs)
    assert kept[(State.READY, 0)] >= 2
    result = (await far.attempt(done["attempt"]))["result"]
    assert "its disk is broken" in result["retrieved"]
    assert (await agent.post("heartbeat", 410))["error"].endswith("join again")
    again = await transact(
        far.engine, agents.gone, agent.id, evidence="it was sold", actor="operator:ib"
    )
    assert not again.changed


async def test_a_job_that_is_lost_again_and_again_is_looked_at_by_a_person(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await queue(far, "light", 1)
    for n in range(agents.LOSSES):
        assert len(await agent.claim()) == 1
        grace = min(60, 5 * 2**n)
        await expire(far, grace - 0.1)
        assert await transact(far.engine, agents.reap) == []
        await expire(far, grace + 0.1)
        assert len(await transact(far.engine, agents.reap)) == 1
        asset = await far.row("SELECT attention FROM track.asset WHERE guid = 'tlight00000'")
        if n < agents.LOSSES - 1:
            assert asset["attention"] is None
            (claimed,) = await far.world.claim(guid="tlight00000")
            await far.world.enqueue(claimed.job_id, "far")
    assert "light was lost 5 times in a row" in asset["attention"]
    assert await far.world.claim(guid="tlight00000") == []
    assert (await far.job("tlight00000", "light"))["tries"] == 0


async def test_capacity_that_is_lowered_under_load_counts_from_then_on(far: Cluster) -> None:
    agent = await AgentByHand.join(far, capacity={"process": 4})
    await queue(far, "light", 6)
    first = await agent.claim(4)
    line = await transact(
        far.engine, agents.set_capacity, agent.id, {"process": 2}, actor="operator:ib"
    )
    assert (line.was, line.now) == ("process 4, scheduler 0", "process 2, scheduler 0")
    told = await agent.heartbeat(*first)
    assert told["capacity"] == {"process": 2, "scheduler": 0}
    assert {*told["attempts"].values()} == {"ok"}  # what runs goes on
    for member in members(*first)[: len(members(*first)) - 2]:
        await agent.complete(member)
    held = await far.rows("SELECT 1 FROM track.attempt WHERE closed_at IS NULL AND agent_id > 0")
    assert len(held) == 2 and await agent.claim(4) == []
    with pytest.raises(CannotDo, match="capacity"):
        await transact(far.engine, agents.set_capacity, agent.id, {"gpu": 1}, actor="operator:ib")


async def test_paths_are_called_in_parameters_as_the_agents_machine_calls_them(
    far: Cluster,
) -> None:
    pipeline = MODULES | {
        "stages": [
            *MODULES["stages"],
            {
                "key": "paths",
                "run": "module load",
                "params": {"in": "/groups/a/x y", "all": ["/groups/ab", "/groups/a"], "n": 3},
            },
        ]
    }
    await edit(far.engine, pipeline)
    await queue(far, "paths", 1)
    agent = await AgentByHand.join(far)
    prefixes = {"/groups/a": "/mnt/a/", "/groups": "/mnt/g"}
    await transact(far.engine, agents.set_prefixes, agent.id, prefixes, actor="operator:ib")
    ((member,),) = [each["members"] for each in await agent.claim()]
    assert member["grant"]["params"] == {
        "in": "/mnt/a/x y",
        "all": ["/mnt/g/ab", "/mnt/a"],
        "n": 3,
    }


async def test_the_poller_of_before_hears_whether_work_waits(far: Cluster) -> None:
    async def asked(path: str) -> str:
        return (await far.http.get(path)).text

    await far.asset("g")
    await far.queue("g", "assetLoader", "s1")  # a site that is driven from here
    assert await asked("/api/v1/apibool") == "false"
    await queue(far, "light", 1)
    assert (await asked("/api/v1/apibool"), await asked("/dev/api/v1/apibool")) == ("true", "true")
    agent = await AgentByHand.join(far)
    await agent.claim()
    assert await asked("/api/v1/apibool") == "false"


async def test_a_site_is_in_use_while_an_agent_takes_its_work(far: Cluster) -> None:
    await far.world.sql(
        "UPDATE track.site SET seen_at = NULL, degraded = 'nobody' WHERE name = 'far'"
    )
    agent = await AgentByHand.join(far)
    await transact(far.engine, agents.set_order, agent.id, "drain", actor="operator:ib")
    await agent.heartbeat()
    row = await far.row("SELECT seen_at, degraded FROM track.site WHERE name = 'far'")
    assert (row["seen_at"], row["degraded"]) == (None, "nobody")
    await transact(far.engine, agents.set_order, agent.id, "run", actor="operator:ib")
    await agent.heartbeat()
    row = await far.row("SELECT seen_at, degraded FROM track.site WHERE name = 'far'")
    assert row["seen_at"] is not None and row["degraded"] is None


async def test_the_runner_is_fetched_by_its_digest(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    digest = (await agent.heartbeat())["runner"]
    answer = await far.http.get(f"/sites/far/runner/{digest}", headers=agent.headers)
    assert answer.content == b"print('runs')\n"
    for wrong, status in (("0" * 64, 404), ("../../etc/passwd", 404)):
        answer = await far.http.get(f"/sites/far/runner/{wrong}", headers=agent.headers)
        assert answer.status_code == status


async def test_what_needs_none_of_the_archive_is_given_while_it_is_away(
    far: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = {"key": "any", "run": "command true {guid}"}
    await edit(far.engine, MODULES | {"stages": [*MODULES["stages"], command]})
    (light,) = await queue(far, "light", 1)
    agent = await AgentByHand.join(far)
    context = far.app.state.context

    async def away() -> tuple[str, float]:
        raise NoToken("it is away")

    (given,) = await agent.claim(1, request_id="before-that")
    monkeypatch.setattr(far.app.state, "context", replace(context, ars_token=away))
    assert attempts(given) == [light]
    asked = {"request_id": "before-that", "free": {"process": 1}}
    assert "it is away" in (await agent.post("claim", 503, **asked))["error"]
    await queue(far, "light", 1, first="u")
    (free,) = await queue(far, "any", 1)
    (batch,) = await agent.claim()
    assert attempts(batch) == [free]
    assert batch["members"][0]["grant"]["ars"] is None
