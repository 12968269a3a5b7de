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
from track.commands.operations import cancel, resubmit
from track.schema.database import transact

PIECES: dict[str, Any] = {
    "pipeline": "PIECES",
    "stages": [{"key": "send", "run": "module upload"}],
}
MAKE = {"key": "make", "run": "module derive", "emits": "PIECES", "params": {"ppi": [72]}}
READ = {"key": "read", "run": "module ocr"}
WHOLES: dict[str, Any] = {"pipeline": "WHOLES", "stages": [MAKE, READ]}
TWICE = [MAKE, MAKE | {"key": "again", "params": {"ppi": [400]}}, READ]


FILE = {"name": "piece.jpg", "crc32": 7, "size_bytes": 2_500_000}
PIECE = {"guid": "piece", "ppi": 72, "file_format": "jpeg", "payload_type": "thumbnail"}


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

    async def lose_maker(self) -> str:
        """Say that the maker is gone; what the operator is told."""
        given = {"evidence": "it burnt", "actor": "test"}
        told = await transact(self.cluster.engine, agents.gone, self.maker.id, **given)
        return told.note

    async def bring(self, by: AgentByHand, crc32: int = 7) -> None:
        """Have an agent make the piece; its job came back, and is not done."""
        attempt = await queue(self.cluster, "whole", "make")
        given = members(*await by.claim())
        (member,) = [each for each in given if each["attempt"] == attempt]
        made = PIECE | {"file": FILE | {"crc32": crc32}}
        assert (await by.complete(member, derivatives=[made]))["applied"] == "applied"

    async def make(self, by: AgentByHand, crc32: int = 7) -> None:
        """Have an agent make the piece."""
        await self.bring(by, crc32)
        await self.finish("whole", "make")

    async def finish(self, guid: str, stage: str) -> None:
        """Do what remains of a job that came back."""
        await self.cluster.finish_returned(await self.cluster.world.job_id(guid, stage))

    async def job(self) -> dict[str, Any]:
        """The upload's."""
        return await self.cluster.job("piece", "send")


async def queue(cluster: Cluster, guid: str, stage: str, site: str = "far") -> int:
    """Put a stage of an asset into a site's queue; the attempt."""
    (found,) = [each for each in await cluster.world.claim(50, guid) if each.stage == stage]
    return await cluster.world.enqueue(found.job_id, site)


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
        made = MadePiece(cluster, maker, other, 0)
        await made.make(maker)
        made.upload = await queue(cluster, "piece", "send")
        yield made


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
        await piece.maker.complete(member, uploaded=[FILE])
    await piece.finish("piece", "send")
    assert (await piece.maker.heartbeat())["order"] == order
    assert await piece.maker.claim() == []
    assert attempts(*await piece.other.claim()) == [later]


@pytest.mark.parametrize("crc32", [7, 8], ids=["the same", "another"])
async def test_what_only_one_had_that_is_gone_is_made_and_uploaded_by_another(
    piece: MadePiece, crc32: int
) -> None:
    assert "derivatives of 1 assets are made again" in await piece.lose_maker()
    assert await piece.other.claim() == [], "nobody has the file"
    await piece.make(piece.other, crc32)
    (member,) = members(*await piece.other.claim())
    assert (member["attempt"], (await piece.job())["tries"]) == (piece.upload, 0)


async def test_made_again_at_another_site_it_is_uploaded_from_there(piece: MadePiece) -> None:
    await piece.lose_maker()
    attempt = await queue(piece.cluster, "whole", "make", "s1")
    await piece.cluster.start(attempt)
    result = {"derivatives": [PIECE | {"file": FILE}]}
    done = {"native_id": "n1", "nonce": "x", "result": result}
    await piece.cluster.own(attempt, "complete", done)
    assert await piece.other.claim() == []
    job = await piece.job()
    assert (await piece.cluster.attempt(job["attempt_id"]))["site"] == "s1"
    assert (job["state"], job["tries"]) == ("queued", 0)


async def test_a_piece_that_its_maker_was_sending_when_it_went_is_made_again(
    piece: MadePiece,
) -> None:
    assert attempts(*await piece.maker.claim()) == [piece.upload]
    await piece.lose_maker()
    await piece.make(piece.other)
    again = await queue(piece.cluster, "piece", "send")
    assert attempts(*await piece.other.claim()) == [again]


async def test_a_piece_whose_job_is_not_done_yet_is_made_again_once_it_is(
    piece: MadePiece,
) -> None:
    whole = await piece.cluster.world.job_id("whole", "make")
    await transact(piece.cluster.engine, resubmit, whole, actor="test", why="once more")
    await piece.bring(piece.maker)
    assert "derivatives of 1 assets are made again" in await piece.lose_maker()
    again = await queue(piece.cluster, "piece", "send")
    assert await piece.other.claim() == [], "still nobody has it"
    await piece.finish("whole", "make")
    assert await piece.other.claim() == [], "still nobody has it"
    await piece.make(piece.other)
    assert attempts(*await piece.other.claim()) == [again]


async def test_what_is_uploaded_is_not_made_again(piece: MadePiece) -> None:
    (member,) = members(*await piece.maker.claim())
    await piece.maker.complete(member, uploaded=[FILE])
    assert await piece.lose_maker() == "0 attempts are given to others"
    assert (await piece.cluster.job("whole", "make"))["state"] == "done"


async def test_of_what_cannot_be_made_again_an_upload_fails_for_all_to_see(
    piece: MadePiece,
) -> None:
    await piece.lose_maker()
    make = await piece.cluster.world.job_id("whole", "make")
    await transact(piece.cluster.engine, cancel, make, actor="test", why="enough")
    assert attempts(*await piece.other.claim()) == [piece.upload]


async def test_pieces_of_two_stages_are_each_with_the_agent_that_made_them(
    piece: MadePiece,
) -> None:
    await edit(piece.cluster.engine, {"pipeline": "WHOLES", "stages": TWICE})
    await queue(piece.cluster, "whole", "again")
    (member,) = members(*await piece.other.claim())
    made = PIECE | {"guid": "large", "ppi": 400, "file": FILE | {"name": "large.jpg"}}
    await piece.other.complete(member, derivatives=[made])
    large = await queue(piece.cluster, "large", "send")
    assert attempts(*await piece.other.claim()) == [large]
    assert attempts(*await piece.maker.claim()) == [piece.upload]
