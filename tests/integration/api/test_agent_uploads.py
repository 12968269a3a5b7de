"""Files that an agent made are sent to the archive by that agent, also when it is to go."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.agents import AgentByHand, attempts, members, runner_in, take_pull_sites
from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer
from tests.support.world import edit, new
from track.commands import agents
from track.schema.database import transact

PIECES: dict[str, Any] = {
    "pipeline": "PIECES",
    "stages": [{"key": "send", "run": "module upload"}],
}
WHOLES: dict[str, Any] = {
    "pipeline": "WHOLES",
    "stages": [
        {"key": "make", "run": "module derive", "emits": "PIECES", "params": {"ppi": [72]}},
        {"key": "read", "run": "module ocr"},
    ],
}


@dataclass
class MadePiece:
    """A derivative whose upload waits, the agent that made it, and another agent."""

    cluster: Cluster
    maker: AgentByHand
    other: AgentByHand
    upload: int

    async def order(self, order: Any) -> None:
        """Give the maker an order."""
        maker = self.maker.id
        await transact(self.cluster.engine, agents.set_order, maker, order, actor="test")


async def queue(cluster: Cluster, guid: str, stage: str) -> int:
    """Put a stage of an asset into the site's queue; the attempt."""
    (found,) = [each for each in await cluster.world.claim(50, guid) if each.stage == stage]
    return await cluster.world.enqueue(found.job_id, "far")


@pytest.fixture
async def piece(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[MadePiece]:
    """The maker has made the piece, and is known to be done with it."""
    config = cluster_config(database, prefect.url, tmp_path, runner=runner_in(tmp_path))
    async with Cluster.open(engine, config) as cluster:
        await edit(engine, PIECES, WHOLES)
        await take_pull_sites(cluster)
        maker, other = await AgentByHand.join(cluster), await AgentByHand.join(cluster)
        await cluster.world.register(new("whole", pipeline="WHOLES"))
        await cluster.world.describe("whole")
        await queue(cluster, "whole", "make")
        (batch,) = await maker.claim()
        for member in members(batch):
            await maker.complete(member)
        await cluster.world.register(new("piece", pipeline="PIECES", parent_guid="whole"))
        await cluster.world.describe("piece")
        await cluster.world.sql("UPDATE track.job SET state = 'done' WHERE state = 'returned'")
        yield MadePiece(cluster, maker, other, await queue(cluster, "piece", "send"))


async def test_an_upload_is_given_to_the_agent_that_made_the_file_and_to_no_other(
    piece: MadePiece,
) -> None:
    assert await piece.other.claim() == []
    assert attempts(*await piece.maker.claim()) == [piece.upload]


@pytest.mark.parametrize("order", ["drain", "stop"])
async def test_one_that_is_to_go_gets_its_uploads_still_and_goes_after_them(
    piece: MadePiece, order: str
) -> None:
    await piece.order(order)
    await piece.cluster.world.register(new("next", pipeline="WHOLES"))
    await piece.cluster.world.describe("next")
    later = await queue(piece.cluster, "next", "make")
    assert (await piece.maker.heartbeat())["order"] == "run"
    batches = await piece.maker.claim()
    assert attempts(*batches) == [piece.upload], "nothing beside it"
    for member in members(*batches):
        await piece.maker.complete(member, uploaded=[])
    await piece.cluster.world.sql("UPDATE track.job SET state = 'done' WHERE state = 'returned'")
    assert (await piece.maker.heartbeat())["order"] == order
    assert await piece.maker.claim() == []
    assert attempts(*await piece.other.claim()) == [later]


async def test_of_one_that_is_gone_anybody_gets_the_upload(piece: MadePiece) -> None:
    maker = piece.maker.id
    await transact(piece.cluster.engine, agents.gone, maker, evidence="it burnt", actor="test")
    assert attempts(*await piece.other.claim()) == [piece.upload]
