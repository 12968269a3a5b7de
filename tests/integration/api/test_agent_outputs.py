"""Files that a result lists, which its agent sends by their content."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.agents import MODULES, AgentByHand, take_pull_sites
from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer
from tests.support.world import edit, new

A, B = b"first file", b"the second file"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def listed(path: str, content: bytes) -> dict[str, Any]:
    return {"path": path, "size_bytes": len(content), "sha256": sha256(content)}


@pytest.fixture
async def far(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[Cluster]:
    async with Cluster.open(engine, cluster_config(database, prefect.url, tmp_path)) as made:
        await edit(engine, MODULES)
        await take_pull_sites(made)
        yield made


async def finished(far: Cluster, agent: AgentByHand, *outputs: dict[str, Any]) -> dict[str, Any]:
    """A batch of one attempt whose result lists these outputs."""
    await far.world.register(new("g", pipeline="TILES"))
    await far.world.describe("g")
    (found,) = [each for each in await far.world.claim(50, "g") if each.stage == "light"]
    await far.world.enqueue(found.job_id, "far")
    (batch,) = await agent.claim()
    assert (await agent.complete(batch["members"][0], outputs=outputs))["status"] == 200
    return batch


async def send(
    far: Cluster,
    agent: AgentByHand,
    attempt: int,
    content: bytes,
    name: str = "",
    status: int = 200,
) -> Any:
    path = f"/sites/far/outputs/{attempt}/{name or sha256(content)}"
    answer = await far.http.put(path, content=content, headers=agent.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_batch_is_kept_until_all_its_outputs_are_here(far: Cluster, tmp_path: Path) -> None:
    agent = await AgentByHand.join(far)
    batch = await finished(
        far, agent, listed("a.txt", A), listed("æ b/second.h5", B), listed("copy of a.txt", A)
    )
    attempt = batch["members"][0]["attempt"]
    assert (await agent.heartbeat(batch))["batches"] == {batch["key"]: "keep"}
    assert await send(far, agent, attempt, A) == {"left": 1}  # for both of its places
    assert await send(far, agent, attempt, A) == {"left": 1}
    job = await far.job("g", "light")
    assert (job["state"], (await agent.heartbeat(batch))["batches"]) == (
        "returned",
        {batch["key"]: "keep"},
    )
    assert await send(far, agent, attempt, B) == {"left": 0}
    assert (await agent.heartbeat(batch))["batches"] == {batch["key"]: "remove"}
    home = tmp_path / "outputs" / "g" / "light"
    files = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "a.txt": A,
        "æ b/second.h5": B,
        "copy of a.txt": A,
    }
    assert (await far.attempt(attempt))["result"]["retrieved"] == ""
    assert "nobody waits" in (await send(far, agent, attempt, B, status=409))["error"]


async def test_outputs_of_a_command_come_to_the_place_of_its_stage_once(
    far: Cluster, tmp_path: Path
) -> None:
    command = {"key": "light", "run": "command", "command": ["prog", "{guid}"]}
    await edit(far.engine, MODULES | {"stages": [command]})
    agent = await AgentByHand.join(far)
    batch = await finished(far, agent, listed("light/a.txt", A))
    grant = batch["members"][0]["grant"]
    assert (grant["module"], grant["command"]["words"]) == ("command", ["prog", "{guid}"])
    assert await send(far, agent, batch["members"][0]["attempt"], A) == {"left": 0}
    outputs = tmp_path / "outputs"
    found = [str(each.relative_to(outputs)) for each in outputs.rglob("*") if each.is_file()]
    assert "g/light/a.txt" in found


async def test_what_is_not_the_announced_file_is_put_nowhere(far: Cluster, tmp_path: Path) -> None:
    agent, other = [await AgentByHand.join(far) for _ in range(2)]
    batch = await finished(far, agent, listed("a.txt", A))
    attempt = batch["members"][0]["attempt"]
    for content in (b"other file", A + b"more", A[:3], b"", b"x" * 3_000_000):
        await send(far, agent, attempt, content, sha256(A), 422)
    await send(far, agent, attempt, B, status=409)
    await send(far, other, attempt, A, status=409)
    assert [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()] == []
    assert await send(far, agent, attempt, A) == {"left": 0}


async def test_outputs_that_are_not_there_any_more_are_made_again(far: Cluster) -> None:
    agent = await AgentByHand.join(far)
    batch = await finished(far, agent, listed("a.txt", A))
    (member,) = batch["members"]
    other = await AgentByHand.join(far)
    assert (await other.tell(member, "missing", why="no"))["status"] == 409
    assert (await agent.tell(member, "missing", why="its disk was wiped"))["status"] == 200
    assert (await far.attempt(member["attempt"]))["result"]["retrieved"] == "its disk was wiped"
    assert (await agent.heartbeat(batch))["batches"] == {batch["key"]: "remove"}
