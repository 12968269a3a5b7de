"""Who may join, who an agent is, and what it may not do with that."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.context import STRANGER_BURST
from tests.support.agents import AgentByHand, take_pull_sites
from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer
from track.commands import agents
from track.commands.selection import CannotDo
from track.schema.database import transact


@pytest.fixture
async def far(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The application, with sites whose work agents take."""
    async with Cluster.open(engine, cluster_config(database, prefect.url, tmp_path)) as made:
        await take_pull_sites(made)
        yield made


async def allow(cluster: Cluster, token: str, machines: int = 1, hours: float = 1.0) -> None:
    await transact(
        cluster.engine, agents.allow_joining, "far", token, machines, hours, actor="operator:ib"
    )


async def test_a_join_token_is_good_for_as_many_machines_as_it_says(far: Cluster) -> None:
    await allow(far, "a-join-token", machines=2)
    first, second, third = [AgentByHand(far) for _ in range(3)]
    made = await first.ask_to_join("a-join-token", name="one")
    # Its answer was lost: the same machine comes again.
    assert await first.ask_to_join("a-join-token", name="one") == made
    assert (await second.ask_to_join("a-join-token"))["agent"] != made["agent"]
    refused = await third.ask_to_join("a-join-token", 401)
    assert "used up" in refused["error"]
    assert await second.ask_to_join("a-join-token", name="one")  # it is in


async def test_machines_that_join_at_once_are_no_more_than_allowed(far: Cluster) -> None:
    await allow(far, "a-join-token", machines=3)
    body = {"name": "node", "capacity": {"process": 1}}
    answers = await asyncio.gather(
        *(
            far.http.post(
                "/sites/far/join",
                json=body | {"token": f"{n:050}"},
                headers={"Authorization": "Bearer a-join-token"},
            )
            for n in range(8)
        )
    )
    assert sorted(each.status_code for each in answers) == [200] * 3 + [401] * 5


@pytest.mark.parametrize(
    ("shown", "words"),
    [("another", "not a join token"), ("too-old", "too old"), ("of-dark", "not a join token")],
)
async def test_a_join_token_that_is_not_valid_lets_nobody_in(
    far: Cluster, shown: str, words: str
) -> None:
    await allow(far, "too-old")
    await far.world.sql(
        "UPDATE track.site SET joins = jsonb_set(joins, ARRAY[(SELECT key FROM"
        " jsonb_each(joins) LIMIT 1), 'until'], to_jsonb(now() - interval '1 s'))"
        " WHERE name = 'far'"
    )
    await transact(far.engine, agents.allow_joining, "dark", "of-dark", 1, 1.0, actor="operator:ib")
    refused = await AgentByHand(far).ask_to_join(shown, 401)
    assert words in refused["error"]
    assert await far.rows("SELECT 1 FROM track.agent") == []


async def test_a_site_that_is_driven_from_here_takes_no_agents(far: Cluster) -> None:
    with pytest.raises(CannotDo, match="of kind local"):
        await transact(
            far.engine, agents.allow_joining, "here", "a-token", 1, 1.0, actor="operator:ib"
        )


async def test_an_agent_is_one_of_one_site_and_its_token_is_kept_as_a_digest(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    agent.site = "dark"
    assert "agent of site far" in (await agent.post("heartbeat", 403))["error"].replace(
        f"agent {agent.id} is one of", "agent of"
    )
    everything = await far.rows(
        "SELECT a::text AS row FROM track.agent a UNION ALL SELECT s::text FROM track.site s"
        " UNION ALL SELECT h::text FROM track.history h"
    )
    assert not [each for each in everything if agent.token in each["row"]]


@pytest.mark.parametrize("shown", ["", "7", "7.", ".x", "x.y", "9" * 30 + ".x", "1.wrong"])
async def test_what_is_not_the_token_of_an_agent_does_nothing(far: Cluster, shown: str) -> None:
    await AgentByHand.join(far)
    headers = {"Authorization": f"Bearer {shown}"}
    answer = await far.http.post("/sites/far/heartbeat", json={}, headers=headers)
    assert answer.status_code == 401
    assert (await far.http.post("/sites/far/heartbeat", json={})).status_code == 401


async def test_while_an_agent_changes_its_token_both_are_valid_until_the_new_one_is_used(
    far: Cluster,
) -> None:
    agent = await AgentByHand.join(far)
    line = await transact(far.engine, agents.rotate, agent.id, actor="operator:ib")
    assert line.changed
    assert (await agent.heartbeat())["rotate"] is True
    old, new = agent.token, "n" * 50
    for _ in range(2):  # the answer may be lost
        await agent.post("token", token=new)
    assert (await agent.heartbeat())["rotate"] is False  # with the old one
    agent.token = new
    await agent.heartbeat()
    agent.token = old
    await agent.post("heartbeat", 401)
    agent.token = new
    await agent.heartbeat()


async def test_an_agent_whose_token_is_revoked_can_do_nothing(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    await transact(far.engine, agents.revoke, agent.id, actor="operator:ib")
    assert "join again" in (await agent.post("heartbeat", 401))["error"]
    again = await transact(far.engine, agents.revoke, agent.id, actor="operator:ib")
    assert not again.changed
    with pytest.raises(CannotDo, match=f"there is no agent 99 .*{agent.id}"):
        await transact(far.engine, agents.revoke, 99, actor="operator:ib")


async def test_whoever_guesses_tokens_is_slowed_down(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    statuses = []
    for n in range(STRANGER_BURST + 20):
        headers = {"Authorization": f"Bearer {agent.id}.{n}"}
        answer = await far.http.post("/sites/far/heartbeat", json={}, headers=headers)
        statuses.append(answer.status_code)
    assert statuses.count(401) >= STRANGER_BURST - 1 and statuses[-1] == 429
    assert int(answer.headers["Retry-After"]) >= 1
    await agent.heartbeat()  # who has a token is not held up by others


async def test_a_body_that_is_too_large_is_refused(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    answer = await far.http.post(
        "/sites/far/messages", content=b" " * 2_100_000, headers=agent.headers
    )
    assert answer.status_code == 413
