"""A stage whose library is away fails for real: people are told once, and when it is mended."""

import asyncio
import time
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from hpc.sites.local.driver import LocalDriver
from schemas.sites import Site
from tests.integration.refinery.local.told_people.conftest import PIPELINE, Look, Told
from tests.support.callbacks import KEYS, cluster_config
from tests.support.serving import free_port, serving
from tests.support.slurm_site import ODD_RUNNER
from tests.support.world import World, install_sites, new
from track.jobs import verbs
from track.schema.database import transact

LIBRARY = "library"
"""The runner's `needs-…` fails while this file is not at the site."""


async def run(world: World, driver: LocalDriver, state: str, *guids: str) -> None:
    """Register specimens and let their module run at this machine until they are in a state."""
    await world.register(*(new(guid) for guid in guids))
    await world.describe(*guids)
    for claim in await world.claim(limit=100):
        await world.enqueue(claim.job_id, "local")
    deadline = time.monotonic() + 60
    while {(await world.states(guid))["load"].value for guid in guids} != {state}:
        assert time.monotonic() < deadline, [await world.states(guid) for guid in guids]
        await driver.turn()
        await asyncio.sleep(0.05)
    if state == "returned":
        job_ids = [await world.job_id(guid, "load") for guid in guids]
        await transact(world.engine, verbs.finish_all, job_ids, actor="test")


async def test_a_stage_that_fails_for_want_of_a_library_is_told_of_until_it_is_mended(
    told: Told, engine: AsyncEngine, database: str, places: None, look: Look, tmp_path: Path
) -> None:
    world = await World.make(engine, PIPELINE)
    root = tmp_path / "site"
    root.mkdir()
    site = Site.model_validate({"site": "local", "kind": "local", "root": str(root), "capacity": 4})
    await transact(engine, install_sites, [site])
    config = cluster_config(database, "", tmp_path, announcing=told.announcing)
    async with serving(create_app(config), free_port()) as url:
        driver = LocalDriver(site, engine, KEYS, url, ODD_RUNNER, tmp_path / "outputs")
        await run(world, driver, "failed", *(f"needs-{n}" for n in range(4)))
        assert await look() == [], "four are no pattern"
        await run(world, driver, "failed", "needs-4")
        await told.once(look, "stage P/load fails")
        text = told.people.mail_of("stage P/load fails")
        for words in (
            "5 of the last 5 of P/load failed, mostly: ",
            "ended with code 3",
            "so since 20",
        ):
            assert words in text
        assert "operate/switch it off (pipeline=P, stage=load)" in text
        assert "operate/resubmit" in text and "http://board.museum.dk/today" in text
        await world.sql("UPDATE track.history SET at = at - interval '1 day' WHERE what LIKE 'a%'")
        await told.once(look, "stage P/load still fails")
        (root / LIBRARY).touch()
        await run(world, driver, "returned", *(f"needs-{n}" for n in range(5, 21)))
        await told.once(look, "stage P/load does not fail any more")
        for runner in driver.running.values():  # they have told their results, and end
            await asyncio.to_thread(runner.wait, 30)
    assert len(told.people.mails) == len(told.people.posts) == 3
