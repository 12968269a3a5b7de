"""Bytes move beside the driver's turns: a large file delays no submission, look or cancel."""

import asyncio
import json
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpc.sites.slurm.driver import SlurmDriver
from hpc.sites.slurm.relay import ShareLocation
from schemas.backoff import Backoff
from schemas.files import FileFacts
from tests.support.slurm_site import SlurmSite

IMAGE = bytes(range(256)) * 4096
FACTS = {"crc32": zlib.crc32(IMAGE), "size_bytes": len(IMAGE)}
PARKED = {"partition": "parked"}


@dataclass
class SlowShares:
    """An archive that takes and gives a file only once it is told to."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        await self._wait(location, file)
        to.write_bytes(IMAGE)

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        await self._wait(location, file)
        assert path.read_bytes() == IMAGE
        self.sent.append(f"{location.guid}/{file.name}")

    async def _wait(self, location: ShareLocation, file: FileFacts) -> None:
        self.begun.append(f"{location.guid}/{file.name}")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.go_on.wait()
        finally:
            self.at_once -= 1


async def state(site: SlurmSite, guid: str) -> str:
    return (await site.states(guid, stage="other"))[0]


def folder_of(site: SlurmSite, attempt: int) -> Path:
    """The folder of the batch that an attempt went with."""
    for manifest in (site.root / "batches").glob("*/manifest.jsonl"):
        lines = [json.loads(line) for line in manifest.read_text().splitlines()]
        if any(line.get("attempt") == attempt for line in lines):
            return manifest.parent
    raise AssertionError(f"attempt {attempt} was not sent")


async def leave_result(site: SlurmSite, guid: str, attempt: int) -> Path:
    """What a job leaves that ran unseen and made something for the archive."""
    made = site.root / "assets" / guid / "derived" / "d.tif"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(IMAGE)
    (found,) = await site.attempts(guid, stage="other")
    folder, who = folder_of(site, attempt), {"native_id": found["external_id"], "nonce": "n"}
    (folder / "started" / str(attempt)).mkdir(parents=True)
    (folder / "started" / str(attempt) / "by").write_text(json.dumps(who))
    carry = [{"name": "d.tif", **FACTS, "path": f"{guid}/derived/d.tif"}]
    body = {**who, "result": {}, "carry": carry}
    kept = folder / "results" / f"{attempt}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps({"path": f"/attempts/{attempt}/complete", "body": body}))
    return kept


def driver_of(site: SlurmSite, archive_shares: SlowShares, **more: Any) -> SlurmDriver:
    return site.driver(callback="", archive_shares=archive_shares, **more)


async def looks(site: SlurmSite, driver: SlurmDriver, done: Any) -> None:
    """Turn after turn, each with a look."""

    async def seen() -> bool:
        driver.poller.due_at = 0.0
        return bool(await done())

    await site.drive(driver, seen)


async def test_while_a_large_result_is_sent_others_are_submitted_seen_and_cancelled(
    far: SlurmSite,
) -> None:
    far.options["resources"] = PARKED
    (attempt,) = await far.queue("a-1", stage="other")
    archive_shares = SlowShares()
    driver = driver_of(far, archive_shares)
    await driver.turn()
    kept = await leave_result(far, "a-1", attempt)

    async def begun() -> bool:
        return archive_shares.begun == ["a-1/d.tif"]

    await looks(far, driver, begun)
    (second,) = await far.queue("a-2", stage="other")

    async def submitted() -> bool:
        return len([each for each in await far.batches() if each["external_id"]]) == 2

    await looks(far, driver, submitted)
    second_result = await leave_result(far, "a-2", second)
    second_result.unlink()  # it only runs

    async def running() -> bool:
        return await state(far, "a-2") == "running"

    await looks(far, driver, running)
    far.lab.cancel_all()  # the first one's job has ended too, and its result lies there

    async def over() -> bool:
        return await state(far, "a-2") == "ready"

    await looks(far, driver, over)
    assert await state(far, "a-1") == "running"
    assert kept.exists()
    assert archive_shares.begun == ["a-1/d.tif"]
    archive_shares.go_on.set()

    async def returned() -> bool:
        return await state(far, "a-1") == "returned"

    await far.drive(driver, returned)
    assert archive_shares.sent == ["a-1/d.tif"]

    async def set_aside() -> bool:
        return not kept.exists()

    await far.drive(driver, set_aside)


async def test_while_large_inputs_are_carried_other_batches_go(far: SlurmSite) -> None:
    far.options["resources"] = PARKED
    await far.queue("a-1", stage="other")
    await far.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes)"
        " VALUES ('a-1', 'i.tif', 'image', :crc32, :size_bytes)",
        **FACTS,
    )
    archive_shares = SlowShares()
    driver = driver_of(far, archive_shares)

    async def begun() -> bool:
        return archive_shares.begun == ["a-1/i.tif"]

    await far.drive(driver, begun)
    await far.queue("a-2", stage="other")

    async def ids() -> list[bool]:
        return [bool(each["external_id"]) for each in await far.batches()]

    async def other_went() -> bool:
        return await ids() == [False, True]

    await far.drive(driver, other_went)
    archive_shares.go_on.set()

    async def both_went() -> bool:
        return await ids() == [True, True]

    await far.drive(driver, both_went)
    assert (far.root / "assets" / "a-1" / "i.tif").read_bytes() == IMAGE
    assert archive_shares.begun == ["a-1/i.tif"]


async def test_few_files_move_at_once_and_all_of_them_arrive(far: SlurmSite) -> None:
    far.options["resources"] = PARKED
    guids = [f"a-{n}" for n in range(5)]
    attempts = await far.queue(*guids, stage="other")
    archive_shares = SlowShares()
    driver = driver_of(far, archive_shares)
    await driver.turn()
    for guid, attempt in zip(guids, attempts, strict=True):
        await leave_result(far, guid, attempt)

    async def full() -> bool:
        return len(archive_shares.begun) == 2

    await looks(far, driver, full)
    archive_shares.go_on.set()

    async def returned() -> bool:
        return {await state(far, guid) for guid in guids} == {"returned"}

    await far.drive(driver, returned)
    assert sorted(archive_shares.sent) == [f"{guid}/d.tif" for guid in guids]
    assert archive_shares.most_at_once == 2


async def test_a_driver_that_ends_in_the_middle_leaves_it_to_the_next(far: SlurmSite) -> None:
    far.options["resources"] = PARKED
    (attempt,) = await far.queue("a-1", stage="other")
    first = SlowShares()
    driver = driver_of(far, first)
    await driver.turn()
    kept = await leave_result(far, "a-1", attempt)

    async def begun() -> bool:
        return bool(first.begun)

    await looks(far, driver, begun)
    await driver.close()
    assert first.at_once == 0
    assert kept.exists()
    assert await state(far, "a-1") == "running"
    second = SlowShares()
    second.go_on.set()
    successor = driver_of(far, second)
    await successor.adopt()

    async def returned() -> bool:
        return await state(far, "a-1") == "returned"

    await looks(far, successor, returned)
    assert (first.sent, second.sent) == ([], ["a-1/d.tif"])


async def test_what_is_gone_over_there_fails_its_attempt_and_not_the_site(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.retries.PAUSES", Backoff(0.1, 900.0))
    far.options["resources"] = PARKED
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, SlowShares())
    await driver.turn()
    await leave_result(far, "a-1", attempt)
    shutil.rmtree(far.root / "assets" / "a-1")

    async def failed() -> bool:
        (found,) = await far.attempts("a-1", stage="other")
        return found["outcome"] == "failed"

    await looks(far, driver, failed)
    assert await far.world.sql("SELECT degraded FROM track.site WHERE degraded IS NOT NULL") == []
