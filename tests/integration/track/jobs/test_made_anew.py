"""A derivative that is made again: the same leaves all as it is, another goes its way again."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import complete, describe, queue, start
from tests.support.world import World, new
from track.jobs import verbs
from track.jobs.claims import Claim
from track.schema.database import transact
from track.schema.states import State

CHILD: dict[str, Any] = {
    "pipeline": "CHILD",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "uploader", "run": "module upload", "needs": "create"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "uploader"},
        {"key": "finalise", "run": "refinery.finalise", "needs": "synchronise"},
    ],
}
PARENT: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "derive", "run": "module derive", "emits": "CHILD", "params": {"ppi": [72]}},
        {"key": "clean", "run": "module clean", "needs": {"stage": "finalise", "of": "children"}},
    ],
}
FINISHED = dict.fromkeys(("create", "uploader", "synchronise", "finalise"), State.DONE)


async def derive(
    world: World, found: Claim, crc32: int, size_bytes: int = 1, ppi: tuple[int, ...] = (72,)
) -> None:
    """Do the derive job at a site; its derivatives have this checksum."""
    attempt = await queue(world, found, "here")
    ((fence,),) = await world.sql("SELECT fence FROM track.attempt WHERE id = :id", id=attempt)
    await start(world, attempt, fence)
    made = [
        {
            "guid": f"p_{each}",
            "ppi": each,
            "file_format": "jpeg",
            "payload_type": "image",
            "file": {"name": f"p_{each}.jpg", "crc32": crc32, "size_bytes": size_bytes},
        }
        for each in ppi
    ]
    await complete(world, attempt, fence, result={"derivatives": made})
    await transact(world.engine, verbs.finish, found.job_id, actor="test")


async def again(
    world: World, crc32: int, size_bytes: int = 1, ppi: tuple[int, ...] = (72,)
) -> None:
    """Have the derivatives made again, as an operator does."""
    job_id = await world.job_id("p", "derive")
    await transact(world.engine, verbs.resubmit, job_id, actor="o", why="again")
    (found,) = await world.claim(guid="p")
    await derive(world, found, crc32, size_bytes, ppi)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, CHILD, PARENT)
    await made.register(new("p"))
    await describe(made, "p")
    (found,) = await made.claim()
    await derive(made, found, 1)
    return made


async def test_the_same_again_sends_nothing_again(world: World) -> None:
    await world.finish_all()
    assert await world.states("p_72") == FINISHED
    await again(world, 1)
    assert await world.states("p_72") == FINISHED
    await world.finish_all()
    assert (await world.states("p"))["clean"] == State.DONE


async def test_another_content_goes_its_whole_way_again_and_its_parent_waits(
    world: World,
) -> None:
    await world.finish_all()
    await world.sql("UPDATE track.file SET uploaded_at = now(), synchronised_at = now()")
    await world.sql("UPDATE track.asset SET finalised_at = now() WHERE guid = 'p_72'")
    await again(world, 2, 5_000_000)
    assert await world.states("p_72") == {
        "create": State.READY,
        "uploader": State.WAITING,
        "synchronise": State.WAITING,
        "finalise": State.WAITING,
    }
    assert (await world.states("p"))["clean"] == State.WAITING
    ((crc32, uploaded, synchronised, finalised, size_mb),) = await world.sql(
        "SELECT f.crc32, f.uploaded_at, f.synchronised_at, a.finalised_at, a.size_mb"
        " FROM track.file f JOIN track.asset a ON a.guid = f.asset_guid"
    )
    assert (crc32, uploaded, synchronised, finalised, size_mb) == (2, None, None, None, 5)
    await world.finish_all()
    assert await world.states("p_72") == FINISHED
    assert (await world.states("p"))["clean"] == State.DONE


async def test_another_content_under_an_upload_is_uploaded_again_after_it(world: World) -> None:
    (create,) = await world.claim(guid="p_72")
    await world.finish(create)
    (upload,) = await world.claim(guid="p_72")
    await again(world, 2)
    assert (await world.states("p_72"))["create"] == State.READY
    await world.finish(upload)
    assert (await world.states("p_72"))["uploader"] == State.WAITING
    await world.finish_all()
    assert await world.states("p_72") == FINISHED
    done = "SELECT count(*) FROM track.history WHERE job_id = :id AND new = 'done'"
    assert await world.sql(done, id=upload.job_id) == [(2,)]


@pytest.fixture
async def tied(engine: AsyncEngine) -> World:
    """Two derivatives, both on their way, whose first stage waits for the one that makes them."""
    create = {"key": "create", "run": "refinery.create"}
    child = CHILD | {
        "stages": [create | {"needs": {"stage": "derive", "of": "parent"}}, *CHILD["stages"][1:]]
    }
    made = await World.make(engine, child, PARENT)
    await made.register(new("p"))
    await describe(made, "p")
    (found,) = await made.claim()
    await derive(made, found, 1, ppi=(72, 400))
    return made


async def test_finished_derivatives_stay_while_they_are_made_again_and_when_they_are_equal(
    tied: World,
) -> None:
    await tied.finish_all()
    job_id = await tied.job_id("p", "derive")
    await transact(tied.engine, verbs.resubmit, job_id, actor="o", why="again")
    assert await tied.states("p_72") == await tied.states("p_400") == FINISHED
    (found,) = await tied.claim()
    await derive(tied, found, 1, ppi=(72, 400))
    assert await tied.states("p_72") == await tied.states("p_400") == FINISHED
    await tied.finish_all()
    assert await tied.states("p") == {"derive": State.DONE, "clean": State.DONE}


async def test_derivatives_on_their_way_go_on_and_those_not_begun_wait_for_their_maker(
    tied: World,
) -> None:
    (create,) = await tied.claim(guid="p_72")
    job_id = await tied.job_id("p", "derive")
    await transact(tied.engine, verbs.resubmit, job_id, actor="o", why="again")
    assert (await tied.states("p_400"))["create"] == State.WAITING
    await tied.finish(create)
    assert (await tied.states("p_72"))["create"] == State.DONE
    (found,) = await tied.claim(guid="p")
    await derive(tied, found, 1, ppi=(72, 400))
    await tied.finish_all()
    assert await tied.states("p_72") == await tied.states("p_400") == FINISHED


async def test_one_that_is_done_does_not_stand_for_one_that_is_made_anew(tied: World) -> None:
    await tied.finish_all()
    await again(tied, 2, ppi=(400,))  # fewer, and another
    assert await tied.states("p_72") == FINISHED
    assert (await tied.states("p_400"))["create"] == State.READY
    assert (await tied.states("p"))["clean"] == State.WAITING
    await tied.finish_all()
    assert await tied.states("p_400") == FINISHED
    assert (await tied.states("p"))["clean"] == State.DONE
