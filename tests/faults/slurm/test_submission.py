"""Submissions that lose their answer, their driver or their controller: never twice, never lost.

Slurm's own records are the judge.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.lab.slurm_lab import MESSAGE_TIMEOUT_S, SlurmLab
from hpc.remote import TruncatedAnswer
from hpc.scheduler.batch_script import ArraySpec, render
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.slurm import SubmitResult
from hpc.sites.shipping import Parcel
from hpc.sites.slurm.cluster import Cluster
from hpc.transport.errors import LinkLost, WireError
from hpc.transport.ssh import SshLink
from schemas.pipeline.model import Resources
from tests.support.delay_proxy import DelayProxy, running_proxy
from tests.support.slurm_site import ODD_RUNNER, Eager, SlurmSite
from tests.support.small_disk import small_disk

CUTS = 80
PARKED = Resources.model_validate({"partition": "parked"})


def a_parcel(key: str) -> Parcel:
    script = render(ArraySpec(3, "/usr/bin/python3", "../../bin/r.pyz", PARKED))
    noise = secrets.token_hex(8000).encode()
    return Parcel(key, {"job.sh": script.encode(), "tokens": b"t\n", "manifest.jsonl": noise})


async def submit_until_known(
    cluster: Cluster, parcel: Parcel, seconds: float = 120
) -> SubmitResult:
    """As the driver does: the same key again until its id is told."""
    until = time.monotonic() + seconds
    absent_since: float | None = None
    while time.monotonic() < until:
        proven = absent_since is not None and (
            time.monotonic() - absent_since > MESSAGE_TIMEOUT_S + 2
        )
        try:
            sent = (await cluster.send([parcel], again=[parcel.key] if proven else []))[parcel.key]
        except (WireError, TruncatedAnswer):
            await asyncio.sleep(0.02)
            continue
        if sent.outcome is SubmitOutcome.KNOWN:
            return sent
        if sent.outcome is SubmitOutcome.ABSENT and absent_since is None:
            absent_since = time.monotonic()
        await asyncio.sleep(0.05)
    raise AssertionError(f"{parcel.key} never got an id")


@pytest.mark.timeout(1200)
async def test_a_link_cut_at_any_byte_of_a_submission_leaves_exactly_one_job(
    lab: SlurmLab,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    with running_proxy(lab.sshd.port) as proxy:
        whole = await _bytes_of_a_submission(lab, proxy)
        expected: dict[str, str] = {}
        for n in range(CUTS):
            link = SshLink(lab.sshd.address(port=proxy.port), breaker=Eager())
            cluster = Cluster(link, str(_root(lab)))
            parcel = a_parcel(f"cut{n:03}x{secrets.token_hex(3)}")
            # Half of them where it matters most: in the last moments of the stream.
            near_end = n % 2 == 0
            proxy.cut_after = rng.randrange(whole - 600 if near_end else 1, whole + 200)
            sent = await submit_until_known(cluster, parcel)
            proxy.cut_after = None
            expected[parcel.key] = sent.job_id
            await link.close()
        cuts = proxy.cuts
    shown = lab.run("squeue", "-h", "-t", "all", "-p", "parked", "-o", "%j %F").split("\n")
    found = sorted(tuple(line.split()) for line in shown if line.startswith("cut"))
    assert found == sorted(expected.items()), f"seed {seed}"
    assert cuts >= CUTS * 0.8, f"seed {seed}: only {cuts} of {CUTS} were cut"


async def _bytes_of_a_submission(lab: SlurmLab, proxy: DelayProxy) -> int:
    link = SshLink(lab.sshd.address(port=proxy.port), breaker=Eager())
    before = proxy.sent
    await submit_until_known(Cluster(link, str(_root(lab))), a_parcel("whole"))
    await link.close()
    return proxy.sent - before


def _root(lab: SlurmLab) -> Path:
    root = lab.folder / "sites" / "cuts"
    (root / "incoming").mkdir(parents=True, exist_ok=True)
    return root


async def test_a_controller_that_stops_answering_leaves_a_ghost_that_is_adopted(
    lab: SlurmLab,
) -> None:
    link = SshLink(lab.sshd.address(), breaker=Eager())
    cluster, parcel = Cluster(link, str(_root(lab))), a_parcel(f"ghost{secrets.token_hex(3)}")
    with lab.stopped():
        first = (await cluster.send([parcel]))[parcel.key]
        assert first.outcome is SubmitOutcome.UNKNOWN
        assert "timed out" in first.why.lower() or "unable to contact" in first.why.lower()
        assert (await cluster.send([parcel]))[parcel.key].outcome is SubmitOutcome.QUEUE_UNREADABLE
    sent = await submit_until_known(cluster, parcel)
    await link.close()
    assert lab.job_ids(parcel.key) == [sent.job_id]


async def test_a_try_that_never_reached_the_controller_is_made_again_after_two_empty_looks(
    lab: SlurmLab,
) -> None:
    """As when the login node dies between the mark of a try and its `sbatch`."""
    link = SshLink(lab.sshd.address(), breaker=Eager())
    root = _root(lab)
    cluster, parcel = Cluster(link, str(root)), a_parcel(f"never{secrets.token_hex(3)}")
    folder = root / "batches" / parcel.key
    (folder / "try").mkdir(parents=True)
    for name, content in parcel.files.items():
        (folder / name).write_bytes(content)
    (folder / "log").mkdir()
    began = time.monotonic()
    assert (await cluster.send([parcel]))[parcel.key].outcome is SubmitOutcome.ABSENT
    sent = await submit_until_known(cluster, parcel)
    assert time.monotonic() - began > MESSAGE_TIMEOUT_S
    await link.close()
    assert lab.job_ids(parcel.key) == [sent.job_id]


async def test_two_at_once_with_the_same_key_are_one_job(lab: SlurmLab) -> None:
    links = [SshLink(lab.sshd.address(), breaker=Eager()) for _ in range(2)]
    parcel = a_parcel(f"twice{secrets.token_hex(3)}")
    clusters = [Cluster(link, str(_root(lab))) for link in links]
    sent = await asyncio.gather(*(submit_until_known(each, parcel) for each in clusters))
    for link in links:
        await link.close()
    assert sent[0].job_id == sent[1].job_id
    assert lab.job_ids(parcel.key) == [sent[0].job_id]


@pytest.mark.parametrize("moment", ["before the send", "in the send", "after the send"])
async def test_a_driver_killed_around_a_submission_leaves_exactly_one_array(
    site: SlurmSite, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = [f"good-{n}" for n in range(5)]
    await site.queue(*guids)
    dying = site.driver(ODD_RUNNER)
    real, link = dying.state.cluster.send, dying.state.cluster.wire
    assert isinstance(link, SshLink)

    async def killed(*given: object, **named: object) -> None:
        if moment == "in the send":
            begun = link.counts.commands
            task = asyncio.create_task(real(*given, **named))  # type: ignore[arg-type]
            async with asyncio.timeout(60):
                while link.counts.commands == begun:
                    await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if moment == "after the send":
            await real(*given, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(dying.state.cluster, "send", killed)
    with pytest.raises(KeyboardInterrupt):
        await dying.turn()
    await dying.close()
    (batch,) = await site.batches()
    assert batch["state"] == "intended"
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    await site.until_states(heir, guids, "returned")
    (batch,) = await site.batches()
    assert site.lab.job_ids(batch["key"]) == [batch["external_id"]]
    assert sorted(attempt for attempt, _ in site.work_done()) == sorted(
        [(await site.attempts(guid))[0]["id"] for guid in guids]
    )


async def test_a_driver_killed_before_the_first_callback_is_followed_by_one_that_watches(
    site: SlurmSite,
) -> None:
    await site.queue("mute-1", "fails-1")
    first = site.driver(ODD_RUNNER)
    await first.turn()
    await first.close()
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    await site.until_states(heir, ["mute-1"], "returned")
    await site.until_states(heir, ["fails-1"], "ready")
    assert len(await site.batches()) == 1


async def test_a_disk_that_is_full_over_there_submits_nothing_and_says_so(
    site: SlurmSite, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "tar"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/room ] && exec /bin/tar "$@"\n'
        "cat >/dev/null\necho 'tar: b1/tokens: Cannot write: No space left on device' >&2\nexit 2\n"
    )
    fake.chmod(0o755)
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER, prelude=f"PATH={fake.parent}:$PATH")
    await driver.turn()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert "No space left on device" in str(why)
    (batch,) = await site.batches()
    assert site.lab.job_ids(batch["key"]) == []
    (tmp_path / "room").touch()
    driver.submitter.unconfirmed[batch["id"]].due_at = 0.0
    await site.until_states(driver, ["good-1"], "returned")
    assert await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'") == [
        (None,)
    ]


@pytest.fixture
def full_disk(site: SlurmSite) -> Iterator[Path]:
    """A real disk of half a megabyte as the site's root."""
    with small_disk(site.root, "512k") as place:
        yield place
        site.lab.cancel_all()


async def test_a_disk_that_is_really_full_submits_nothing_and_goes_on_once_there_is_room(
    site: SlurmSite, full_disk: Path
) -> None:
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    filler = full_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
    await site.queue("good-1")
    await driver.turn()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert "No space left on device" in str(why)
    (batch,) = await site.batches()
    assert site.lab.job_ids(batch["key"]) == []
    filler.unlink()
    driver.submitter.unconfirmed[batch["id"]].due_at = 0.0
    await site.until_states(driver, ["good-1"], "returned")
    assert len(site.lab.job_ids(batch["key"])) == 1


async def test_a_lost_link_in_mid_flight_is_told_as_doubt_and_nothing_fails(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    real, calls = driver.wire.run, 0

    async def breaks_once(*given: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        answer = await real(*given, **named)  # type: ignore[arg-type]
        if calls == 2:
            raise LinkLost("the connection broke")
        return answer

    monkeypatch.setattr(driver.wire, "run", breaks_once)
    await driver.turn()
    assert await site.states("good-1") in (["queued"], ["running"], ["returned"])
    await site.until_states(driver, ["good-1"], "returned")
    (batch,) = await site.batches()
    assert len(site.lab.job_ids(batch["key"])) == 1
