"""A stage's outputs come back over the wire, whole and checked, before its job is done."""

import asyncio
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpc.remote import TruncatedAnswer
from hpc.sites.retries import PAUSES, Retries
from hpc.sites.retrieval import TRIES_UNTIL_GONE, RemoteSource, retrieve
from hpc.sites.slurm.driver import SlurmDriver
from hpc.transport.errors import CircuitOpen, WireError
from hpc.transport.ssh import SshLink
from schemas.backoff import Backoff
from tasks.dispatch.groups import GroupedMoves
from tasks.dispatch.held_job import HeldJob
from tasks.dispatch.outcome import outputs_here
from tests.support.delay_proxy import running_proxy
from tests.support.slurm_site import ODD_RUNNER, Eager, SlurmSite
from track.jobs.claims import take_returned
from track.jobs.outputs import retrieval
from track.schema.database import transact

GUID = "makes-a"


async def state_of(site: SlurmSite) -> str | None:
    job_id = await site.world.job_id(GUID, "clean")
    return await transact(site.engine, retrieval, job_id)


async def returned(site: SlurmSite, driver: SlurmDriver) -> None:
    await site.queue(GUID)
    await site.until_states(driver, [GUID], "returned")


def files_under(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_outputs_are_streamed_checked_and_put_in_their_place(
    site: SlurmSite, tmp_path: Path
) -> None:
    driver = site.driver(runner=ODD_RUNNER, outputs=tmp_path / "outputs")
    await returned(site, driver)

    async def here() -> bool:
        return await state_of(site) == ""

    await site.drive(driver, here)
    there = files_under(site.root / "assets" / GUID)
    assert len(there) == 2
    assert files_under(tmp_path / "outputs") == {
        f"{GUID}/clean/{name}": content for name, content in there.items()
    }


async def test_until_they_are_here_the_stage_is_not_done(site: SlurmSite, tmp_path: Path) -> None:
    driver = site.driver(runner=ODD_RUNNER)  # it brings nothing
    await returned(site, driver)
    claim = SimpleNamespace(job_id=await site.world.job_id(GUID, "clean"))
    job = HeldJob(claim, GroupedMoves(site.engine, site.world.dispatcher_id, "test"))  # type: ignore[arg-type]
    waiting = asyncio.create_task(outputs_here(job))
    done, _ = await asyncio.wait([waiting], timeout=1.5)
    assert not done
    source = RemoteSource(driver.state.cluster.wire, str(site.root))
    await retrieve(site.engine, site.name, source, tmp_path / "outputs")
    assert await asyncio.wait_for(waiting, 10) is None


async def test_what_was_brought_before_a_kill_is_not_fetched_again(
    site: SlurmSite, tmp_path: Path
) -> None:
    driver = site.driver(runner=ODD_RUNNER)
    await returned(site, driver)
    home = tmp_path / "outputs" / GUID / "clean"
    there = site.root / "assets" / GUID
    (home / "derived").mkdir(parents=True)
    (home / "derived" / "large.bin").write_bytes((there / "derived" / "large.bin").read_bytes())
    (home / "note.txt").write_bytes(b"sh")  # torn: it is fetched
    (there / "derived" / "large.bin").unlink()  # and this one could not be
    source = RemoteSource(driver.state.cluster.wire, str(site.root))
    assert await retrieve(site.engine, site.name, source, tmp_path / "outputs") == 1
    assert await state_of(site) == ""
    assert (home / "note.txt").read_bytes() == b"short"
    assert await retrieve(site.engine, site.name, source, tmp_path / "outputs") == 0


async def test_a_link_cut_in_the_middle_leaves_nothing_torn_and_the_rest_is_fetched_again(
    site: SlurmSite, tmp_path: Path
) -> None:
    await returned(site, site.driver(runner=ODD_RUNNER))
    outputs = tmp_path / "outputs"
    with running_proxy(site.lab.sshd.port, rtt_s=0.4) as proxy:
        link = SshLink(site.lab.sshd.address(port=proxy.port), breaker=Eager())
        source = RemoteSource(link, str(site.root))
        bringing = asyncio.create_task(retrieve(site.engine, site.name, source, outputs))
        async with asyncio.timeout(30):
            while proxy.received < 500_000:
                await asyncio.sleep(0.01)
        proxy.cut()
        with pytest.raises((WireError, TruncatedAnswer)):
            await bringing
        assert files_under(outputs) == {}
        assert await state_of(site) is None
        async with asyncio.timeout(60):
            while await state_of(site) is None:
                with suppress(CircuitOpen):
                    await retrieve(site.engine, site.name, source, outputs)
                await asyncio.sleep(0.05)
        await link.close()
    assert await state_of(site) == ""
    there = files_under(site.root / "assets" / GUID)
    assert files_under(outputs) == {f"{GUID}/clean/{name}": c for name, c in there.items()}


async def test_a_full_disk_of_ours_is_reported_and_takes_no_site_down(
    site: SlurmSite,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpc.sites.retries.PAUSES", Backoff(0.1, 900.0))
    in_the_way = tmp_path / "outputs"
    in_the_way.write_bytes(b"not a folder")
    driver = site.driver(runner=ODD_RUNNER, outputs=in_the_way)
    await returned(site, driver)

    async def told() -> bool:
        return "outputs cannot be kept here" in caplog.text

    await site.drive(driver, told)
    degraded = "SELECT degraded FROM track.site WHERE name = 'cluster'"
    assert await site.world.sql(degraded) == [(None,)]
    in_the_way.unlink()

    async def here() -> bool:
        return await state_of(site) == ""

    await site.drive(driver, here)


@pytest.mark.parametrize("harm", ["changed", "gone", "folder"])
async def test_outputs_that_are_lost_over_there_have_their_stage_done_again(
    site: SlurmSite, tmp_path: Path, harm: str
) -> None:
    driver = site.driver(runner=ODD_RUNNER)
    await returned(site, driver)
    folder = site.root / "assets" / GUID
    match harm:
        case "changed":
            (folder / "note.txt").write_bytes(b"other")
        case "gone":
            (folder / "note.txt").unlink()
        case _:
            folder.rename(folder.with_name("elsewhere"))
    source = RemoteSource(driver.state.cluster.wire, str(site.root))
    later = 0.0
    retries: Retries[int] = Retries(clock=lambda: later)
    for look in range(TRIES_UNTIL_GONE):  # a shared disk may show a file late
        given_up = await retrieve(site.engine, site.name, source, tmp_path / "outputs", retries)
        assert given_up == (look == TRIES_UNTIL_GONE - 1)
        later += PAUSES.longest_s
    job_id = await site.world.job_id(GUID, "clean")
    mine = site.world.dispatcher_id
    assert await transact(site.engine, take_returned, [job_id], mine)
    claim = SimpleNamespace(job_id=job_id)
    job = HeldJob(claim, GroupedMoves(site.engine, mine, "test"))  # type: ignore[arg-type]
    ending = await outputs_here(job)
    assert ending is not None and ending.name == "Retrying"
    assert await site.states(GUID) == ["ready"]
    assert not (tmp_path / "outputs" / GUID / "clean" / "note.txt").exists()
