"""Nodes without a network: the shared disk decides who starts, the driver carries the rest."""

import asyncio
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpc.sites.retrieval import TRIES_UNTIL_GONE
from hpc.sites.slurm.answers import PollResult
from hpc.sites.slurm.driver import SlurmDriver
from hpc.sites.slurm.relay import ArchiveSharesError, CarriedFile, ShareLocation
from schemas.backoff import Backoff
from schemas.files import FileFacts
from schemas.pipeline.load import Pipeline
from tests.support.refusing_site import FAILED, Sbatch, second_site, sites_of
from tests.support.slurm_site import PIPELINE, SlurmSite
from track.commands import operations
from track.commands.pipelines import load_pipelines
from track.schema.database import transact

IMAGE = bytes(range(256)) * 4096


@dataclass
class MemoryShares:
    """The archive's shares in memory; it may be told to be down, or our own disk to be full."""

    files: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    fetched: int = 0
    down: bool = False
    full: bool = False

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        if self.down:
            raise ArchiveSharesError("down")
        if self.full:
            raise OSError(28, "No space left on device")
        self.fetched += 1
        to.write_bytes(self.files[f"{location.institution}/{location.guid}/{file.name}"])

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        if self.down:
            raise ArchiveSharesError("down")
        self.sent[f"{location.guid}/{file.name}"] = path.read_bytes()


def driver_of(site: SlurmSite, archive_shares: MemoryShares) -> SlurmDriver:
    return site.driver(callback="", archive_shares=archive_shares)


async def with_image(site: SlurmSite, guid: str) -> MemoryShares:
    """The share holds one image of the asset."""
    await site.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes)"
        " VALUES (:g, 'i.tif', 'image', :c, :s)",
        g=guid,
        c=zlib.crc32(IMAGE),
        s=len(IMAGE),
    )
    return MemoryShares({f"NHMD/{guid}/i.tif": IMAGE})


def batch_folder(site: SlurmSite) -> Path:
    (found,) = [each for each in (site.root / "batches").iterdir() if each.name[0] == "b"]
    return found


def run_by_hand(site: SlurmSite, native_id: str) -> subprocess.Popen[bytes]:
    """What a native job does, whichever it is."""
    (runner,) = (site.root / "bin").glob("*.pyz")
    words = [sys.executable, str(runner), "--batch", str(batch_folder(site)), "--index", "0"]
    return subprocess.Popen([*words, "--native-id", native_id])


async def test_inputs_go_there_and_starts_and_results_come_back_without_a_callback(
    far: SlurmSite,
) -> None:
    await far.queue("a-1", stage="other")
    archive_shares = await with_image(far, "a-1")
    driver = driver_of(far, archive_shares)

    async def returned() -> bool:
        return await far.states("a-1", stage="other") == ["returned"]

    await far.drive(driver, returned)
    assert (far.root / "assets" / "a-1" / "i.tif").read_bytes() == IMAGE
    ((attempt),) = await far.attempts("a-1", stage="other")
    assert attempt["outcome"] == "done"
    assert attempt["started_by"] == attempt["external_id"]
    assert (batch_folder(far) / "grants.jsonl").stat().st_mode & 0o777 == 0o600
    details = await far.world.sql("SELECT details FROM track.job WHERE details IS NOT NULL")
    assert details == [({"files": [{"name": "i.tif", "size_bytes": len(IMAGE)}]},)]


async def test_an_input_that_lies_there_is_not_carried_again(far: SlurmSite) -> None:
    await far.queue("a-1", stage="other")
    archive_shares = await with_image(far, "a-1")
    (far.root / "assets" / "a-1").mkdir(parents=True)
    (far.root / "assets" / "a-1" / "i.tif").write_bytes(IMAGE)
    driver = driver_of(far, archive_shares)

    async def returned() -> bool:
        return await far.states("a-1", stage="other") == ["returned"]

    await far.drive(driver, returned)
    assert archive_shares.fetched == 0


async def test_of_two_jobs_of_one_attempt_the_shared_disk_lets_one_start(far: SlurmSite) -> None:
    far.options["resources"] = {"partition": "parked"}
    await far.queue("a-1", stage="other")
    await driver_of(far, MemoryShares()).turn()
    jobs = [run_by_hand(far, name) for name in ("x", "y", "z")]
    assert [await asyncio.to_thread(each.wait, 60) for each in jobs] == [0, 0, 0]
    folder = batch_folder(far)
    (won,) = (folder / "started").iterdir()
    (kept,) = (folder / "results").glob("*.json")
    by = json.loads((won / "by").read_text())
    assert json.loads(kept.read_text())["body"]["native_id"] == by["native_id"]


async def cancel(site: SlurmSite, guid: str) -> str:
    job_id = await site.world.job_id(guid, "other")
    line = await transact(site.engine, operations.cancel, job_id, actor="operator:ib", why="")
    return line.now


async def test_an_unstarted_job_is_cancelled_once_its_start_is_ours(far: SlurmSite) -> None:
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    assert await cancel(far, "a-1") == "queued"  # only the shared disk can say
    await driver.turn()
    assert await far.states("a-1", stage="other") == ["cancelled"]
    assert (batch_folder(far) / "started" / str(attempt) / "taken").exists()
    assert await asyncio.to_thread(run_by_hand(far, "late").wait, 60) == 0
    assert "not granted" in (batch_folder(far) / "log" / "0.log").read_text()


async def test_a_job_that_began_unseen_is_running_and_not_cancelled_at_once(
    far: SlurmSite,
) -> None:
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    mine = batch_folder(far) / "started" / str(attempt)
    mine.mkdir(parents=True)
    (mine / "by").write_text('{"native_id": "77_0", "nonce": "n"}')
    assert await cancel(far, "a-1") == "queued"
    driver.poller.due_at = float("inf")  # it is the cancel that finds out
    await driver.canceller.cancel()
    assert await far.states("a-1", stage="other") == ["running"]
    ((found),) = await far.attempts("a-1", stage="other")
    assert (found["started_by"], found["outcome"]) == ("77_0", None)


async def test_what_a_job_wants_archived_is_sent_before_its_result_counts(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.retries.PAUSES", Backoff(0.1, 900.0))
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    archive_shares = MemoryShares(down=True)
    driver = driver_of(far, archive_shares)
    await driver.turn()
    (far.root / "assets" / "a-1" / "derived").mkdir(parents=True)
    (far.root / "assets" / "a-1" / "derived" / "d.tif").write_bytes(IMAGE)
    who = {"native_id": "77_0", "nonce": "n"}
    mine = batch_folder(far) / "started" / str(attempt)
    mine.mkdir(parents=True)
    (mine / "by").write_text(json.dumps(who))
    facts = {"name": "d.tif", "crc32": zlib.crc32(IMAGE), "size_bytes": len(IMAGE)}
    body = {**who, "result": {}, "carry": [{**facts, "path": "a-1/derived/d.tif"}]}
    kept = batch_folder(far) / "results" / f"{attempt}.json"
    kept.write_text(json.dumps({"path": f"/attempts/{attempt}/complete", "body": body}))

    async def state(wanted: str) -> bool:
        driver.poller.due_at = 0.0
        return await far.states("a-1", stage="other") == [wanted]

    await far.drive(driver, lambda: state("running"))
    await driver.turn()
    assert await state("running")
    assert kept.exists()
    archive_shares.down = False
    await far.drive(driver, lambda: state("returned"))
    assert archive_shares.sent == {"a-1/d.tif": IMAGE}


async def test_inputs_wait_while_our_own_disk_is_full(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await far.queue("a-1", stage="other")
    archive_shares = await with_image(far, "a-1")
    archive_shares.full = True
    monkeypatch.setattr("hpc.sites.retries.PAUSES", Backoff(0.1, 900.0))
    driver = driver_of(far, archive_shares)
    for _ in range(5):
        await driver.turn()
        await asyncio.sleep(0.1)
    assert not (far.root / "assets" / "a-1").exists()
    assert await far.states("a-1", stage="other") == ["queued"]
    ((reason,),) = await far.world.sql("SELECT reason FROM track.job WHERE state = 'queued'")
    assert "its inputs wait: they cannot be kept here" in str(reason)
    archive_shares.full = False

    async def returned() -> bool:
        return await far.states("a-1", stage="other") == ["returned"]

    await far.drive(driver, returned)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        FileNotFoundError(2, "No usable temporary directory found"),
    ],
)
async def test_a_result_waits_while_our_own_disk_has_no_room_for_what_it_wants_archived(
    far: SlurmSite, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    (attempt,) = await far.queue("a-1", stage="other")
    relay = driver_of(far, MemoryShares()).state.relay
    assert relay is not None

    def full(**_: object) -> None:
        raise error

    facts = FileFacts(name="d.tif", crc32=0, size_bytes=1)
    wish = CarriedFile.model_validate({**facts.model_dump(), "path": "a-1/derived/d.tif"})
    monkeypatch.setattr("hpc.sites.passing.tempfile.TemporaryDirectory", full)
    assert not await relay._forward_all(attempt, [wish])
    assert (await far.attempts("a-1", stage="other"))[0]["outcome"] is None


async def test_a_file_that_a_shared_disk_does_not_show_yet_is_looked_for_some_times(
    far: SlurmSite,
) -> None:
    (attempt,) = await far.queue("a-1", stage="other")
    await with_image(far, "a-1")
    relay = driver_of(far, MemoryShares()).state.relay
    assert relay is not None
    facts = FileFacts(name="d.tif", crc32=0, size_bytes=1)
    wish = CarriedFile.model_validate({**facts.model_dump(), "path": "a-1/derived/d.tif"})
    for _ in range(TRIES_UNTIL_GONE - 1):
        assert not await relay._forward_all(attempt, [wish])
    assert (await far.attempts("a-1", stage="other"))[0]["outcome"] is None
    assert await relay._forward_all(attempt, [wish])
    assert (await far.attempts("a-1", stage="other"))[0]["outcome"] == "failed"


async def test_all_results_are_read_before_a_job_counts_as_ended_without_one(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.slurm.cluster.MAX_RESULTS", 1)
    far.options["resources"] = {"partition": "parked"}
    guids = ["a-1", "a-2", "a-3"]
    attempts = await far.queue(*guids, stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    folder = batch_folder(far)
    for guid, attempt in zip(guids, attempts, strict=True):
        ((sent),) = await far.attempts(guid, stage="other")
        who = {"native_id": sent["external_id"], "nonce": "n"}
        (folder / "started" / str(attempt)).mkdir(parents=True)
        (folder / "started" / str(attempt) / "by").write_text(json.dumps(who))
        message = {"path": f"/attempts/{attempt}/complete", "body": {**who, "result": {}}}
        (folder / "results").mkdir(exist_ok=True)
        (folder / "results" / f"{attempt}.json").write_text(json.dumps(message))
    far.lab.cancel_all()

    async def returned() -> bool:
        driver.poller.due_at = 0.0
        states = await far.states(*guids, stage="other")
        assert set(states) <= {"queued", "running", "returned"}
        return set(states) == {"returned"}

    await far.drive(driver, returned)


async def test_results_that_wait_for_the_archive_hide_none_behind_them(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.slurm.cluster.MAX_RESULTS", 1)
    far.options["resources"] = {"partition": "parked"}
    guids = ["a-1", "a-2", "b-3"]
    attempts = await far.queue(*guids, stage="other")
    driver = driver_of(far, MemoryShares(down=True))
    await driver.turn()
    folder = batch_folder(far)
    (folder / "results").mkdir(exist_ok=True)
    facts = {"name": "d.tif", "crc32": zlib.crc32(IMAGE), "size_bytes": len(IMAGE)}
    for guid, attempt in zip(guids, attempts, strict=True):
        ((sent),) = await far.attempts(guid, stage="other")
        body = {"native_id": sent["external_id"], "nonce": "n", "result": {}}
        mine = folder / "started" / str(attempt)
        mine.mkdir(parents=True)
        (mine / "by").write_text(json.dumps({k: body[k] for k in ("native_id", "nonce")}))
        if guid != "b-3":
            made = far.root / "assets" / guid / "derived"
            made.mkdir(parents=True)
            (made / "d.tif").write_bytes(IMAGE)
            body["carry"] = [{**facts, "path": f"{guid}/derived/d.tif"}]
        message = {"path": f"/attempts/{attempt}/complete", "body": body}
        (folder / "results" / f"{attempt}.json").write_text(json.dumps(message))

    async def last_is_back() -> bool:
        driver.poller.due_at = 0.0
        return await far.states("b-3", stage="other") == ["returned"]

    await far.drive(driver, last_is_back)

    async def told() -> bool:
        rows = await far.world.sql("SELECT reason FROM track.job WHERE state = 'running'")
        return len(rows) == 2 and all("waits for the archive" in str(why) for (why,) in rows)

    await far.drive(driver, told)


async def test_a_job_that_starts_and_ends_between_two_polls_has_done_its_work(
    far: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second poll, which asks for evidence of ends, is the first that finds its traces."""
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    ((sent),) = await far.attempts("a-1", stage="other")
    poll = driver.state.cluster.poll

    async def late_poll(keys: Sequence[str], **how: Any) -> PollResult:
        if how.get("queue") is False and not list(batch_folder(far).glob("results/*")):
            leave_traces(far, attempt, {"native_id": sent["external_id"], "nonce": "n"})
        return await poll(keys, **how)

    monkeypatch.setattr(driver.state.cluster, "poll", late_poll)
    far.lab.cancel_all()

    async def returned() -> bool:
        driver.poller.due_at = 0.0
        states = await far.states("a-1", stage="other")
        assert set(states) <= {"queued", "running", "returned"}
        return states == ["returned"]

    await far.drive(driver, returned)


def leave_traces(site: SlurmSite, attempt: int, who: dict[str, str]) -> None:
    """What a job leaves that started and returned."""
    folder = batch_folder(site)
    mine = folder / "started" / str(attempt)
    mine.mkdir(parents=True, exist_ok=True)
    (mine / "by").write_text(json.dumps(who))
    message = {"path": f"/attempts/{attempt}/complete", "body": {**who, "result": {}}}
    (folder / "results" / f"{attempt}.json").write_text(json.dumps(message))


async def test_a_job_that_ends_unseen_before_it_started_is_taken_before_it_is_tried_again(
    far: SlurmSite,
) -> None:
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    far.lab.cancel_all()  # somebody at the site

    async def ready() -> bool:
        driver.poller.due_at = 0.0
        return await far.states("a-1", stage="other") == ["ready"]

    await far.drive(driver, ready)
    assert (batch_folder(far) / "started" / str(attempt) / "taken").exists()


@pytest.mark.parametrize("by", ["", '{"native_id": "%s", "nonce": "n"}'])
async def test_a_job_that_ends_after_an_unseen_start_counts_as_started(
    far: SlurmSite, by: str
) -> None:
    """It was killed between winning its start and saying who it is, or right after."""
    far.options["resources"] = {"partition": "parked"}
    (attempt,) = await far.queue("a-1", stage="other")
    driver = driver_of(far, MemoryShares())
    await driver.turn()
    ((queued),) = await far.attempts("a-1", stage="other")
    mine = batch_folder(far) / "started" / str(attempt)
    mine.mkdir(parents=True)
    if by:
        (mine / "by").write_text(by % queued["external_id"])
    far.lab.cancel_all()

    async def ready() -> bool:
        driver.poller.due_at = 0.0
        return await far.states("a-1", stage="other") == ["ready"]

    await far.drive(driver, ready)
    assert not (mine / "taken").exists()
    ((ended),) = await far.attempts("a-1", stage="other")
    assert (ended["outcome"], ended["started_by"]) == (
        "cancelled",
        queued["external_id"] if by else None,
    )


async def test_declared_outputs_are_listed_by_the_runner_and_brought_here(
    far: SlurmSite, tmp_path: Path
) -> None:
    stages = [dict(stage) for stage in PIPELINE["stages"]]
    stages[1]["outputs"] = ["*.tif"]
    changed = Pipeline.model_validate({**PIPELINE, "stages": stages})
    await transact(far.engine, load_pipelines, [changed], actor="test")
    await far.queue("a-1", stage="other")
    archive_shares = await with_image(far, "a-1")
    driver = far.driver(callback="", archive_shares=archive_shares, outputs=tmp_path / "outputs")
    place = tmp_path / "outputs" / "a-1" / "other" / "i.tif"

    async def here() -> bool:
        return place.exists()

    await far.drive(driver, here)
    assert place.read_bytes() == IMAGE
    assert await far.states("a-1", stage="other") == ["returned"]


async def test_what_the_site_refuses_goes_elsewhere_once_its_start_is_taken(
    far: SlurmSite, tmp_path: Path
) -> None:
    """Where nodes cannot ask us, only what surely has no job there may be done elsewhere."""
    (attempt,) = await far.queue("good-1")
    await second_site(far)
    sbatch = Sbatch(tmp_path / "bin")
    sbatch.says(f"{FAILED}Unspecified error")
    now = 0.0
    driver = far.driver(
        callback="",
        archive_shares=await with_image(far, "good-1"),
        prelude=sbatch.prelude,
        clock=lambda: now + time.monotonic(),
    )

    async def moved() -> bool:
        nonlocal now
        now += 5.0
        return await sites_of(far, "good-1") == ["cluster", "next"]

    await far.drive(driver, moved)
    for batch in await far.batches():
        assert (far.root / "batches" / batch["key"] / "started" / str(attempt) / "taken").exists()
