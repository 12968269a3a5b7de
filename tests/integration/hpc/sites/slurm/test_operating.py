"""Making a site ready and looking at it, on the lab."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from blocks.slurm_site import SlurmSite as SlurmSiteBlock
from demo.lab.sshd import running_sshd
from hpc.archives import build_runner
from hpc.sites.slurm.answers import SiteTrouble
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.doctor import examine, summary
from hpc.sites.slurm.leftovers import sweep
from hpc.sites.slurm.prepare import prepare
from hpc.transport.ssh import SshLink
from tests.support.serving import free_port
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from tests.support.world import new


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    return build_runner(tmp_path / "built")


async def test_a_healthy_site_is_found_well_and_a_node_reaches_us(
    site: SlurmSite, runner: Path
) -> None:
    link = SshLink(site.lab.sshd.address())
    findings = {each.what: each for each in await examine(site.site, link, "", runner)}
    await link.close()
    assert findings["connection"].well
    assert findings["callback"].well, findings["callback"]
    assert findings["python"].well
    assert findings["controller"].found.startswith("Slurm 22.05")
    assert findings["accounting"].well is None
    assert "exit codes" in findings["accounting"].remedy


async def test_a_callback_address_that_no_node_reaches_is_a_finding(
    site: SlurmSite, runner: Path
) -> None:
    site.callback = f"http://127.0.0.1:{free_port()}"
    link = SshLink(site.lab.sshd.address())
    findings = {each.what: each for each in await examine(site.site, link, "", runner)}
    await link.close()
    assert findings["job"].well
    assert findings["callback"].well is False
    assert "refused" in findings["callback"].found


async def test_what_is_wrong_is_reported_with_what_to_do(site: SlurmSite, runner: Path) -> None:
    site.options = {"python": "/nowhere/bin/python"}
    link = SshLink(site.lab.sshd.address())
    found = await examine(site.site, link, "", runner)
    await link.close()
    findings = {each.what: each for each in found}
    assert findings["python"].well is False
    assert findings["job"].well is False
    assert "/nowhere/bin/python" in findings["job"].found
    assert "python" in summary(found)


@pytest.fixture
def wrapped(site: SlurmSite, tmp_path: Path) -> Path:
    """The site's Python comes from a module: it runs only where a variable says where it is."""
    wrapper = tmp_path / "venv" / "bin" / "python"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text('#!/bin/sh\nexec "${MUSEUM_PYTHON:?is not set}" "$@"\n')
    wrapper.chmod(0o755)
    site.options = {"python": str(wrapper)}
    return wrapper


async def test_what_the_prelude_sets_reaches_the_doctors_job_and_the_real_ones(
    site: SlurmSite, wrapped: Path, runner: Path
) -> None:
    prelude = f"set -u; MUSEUM_PYTHON={sys.executable}; export MUSEUM_PYTHON; echo loaded"
    link = SshLink(site.lab.sshd.address())
    found = await examine(site.site, link, prelude, runner)
    assert summary(found) == "well", found
    assert {"job", "modules", "prelude", "callback"} <= {each.what for each in found}
    assert not list(site.root.glob("batches/doctor-*"))
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER, wire=link, prelude=prelude)
    await site.until_states(driver, ["good-1"], "returned")


async def test_what_only_start_up_files_set_reaches_no_job_and_the_doctor_says_so(
    site: SlurmSite, wrapped: Path, runner: Path, tmp_path: Path
) -> None:
    """On the login node all is well: so it was told, and every real job ended at once."""
    seen = {**site.lab.sshd.environment, "MUSEUM_PYTHON": sys.executable}
    with running_sshd(tmp_path / "sshd", environment=seen) as server:
        link = SshLink(server.address())
        found = {each.what: each for each in await examine(site.site, link, "", runner)}
        await link.close()
    assert found["python"].well
    assert found["job"].well is False
    assert "MUSEUM_PYTHON" in found["job"].found
    assert "prelude exports" in found["job"].remedy


async def test_a_job_that_sbatch_does_not_take_is_reported_in_its_words(
    site: SlurmSite, runner: Path
) -> None:
    site.options = {"resources": {"partition": "nowhere"}}
    link = SshLink(site.lab.sshd.address())
    prelude = "no_such_command of our module system"
    found = {each.what: each for each in await examine(site.site, link, prelude, runner)}
    await link.close()
    assert found["job"].well is False
    assert "nvalid partition" in found["job"].found
    assert found["prelude"].well is False
    assert "no_such_command" in found["prelude"].found


@pytest.mark.parametrize(("used", "well"), [(400_000, True), (960_000, False)])
async def test_a_quota_is_reported_and_that_it_is_almost_used_up(
    site: SlurmSite, runner: Path, tmp_path: Path, used: int, well: bool
) -> None:
    fake = tmp_path / "bin" / "quota"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho 'nfs:/work {used} 1000000 1000000 9 0 0'\n")
    fake.chmod(0o755)
    link = SshLink(site.lab.sshd.address())
    prelude = f"PATH={fake.parent}:$PATH"
    findings = {each.what: each for each in await examine(site.site, link, prelude, runner)}
    await link.close()
    assert findings["quota"].well is well
    assert "of 1.0 GB used" in findings["quota"].found


async def test_a_site_out_of_reach_is_one_finding_with_a_remedy(
    site: SlurmSite, runner: Path
) -> None:
    (finding,) = await examine(
        site.site, SshLink(site.lab.sshd.address(port=free_port())), "", runner
    )
    assert finding.well is False
    assert "firewall" in finding.remedy


async def test_preparing_a_site_places_the_runner_and_is_harmless_to_repeat(
    site: SlurmSite, runner: Path
) -> None:
    link = SshLink(site.lab.sshd.address())
    cluster = Cluster(link, str(site.root))
    for _ in range(2):
        done = await prepare(site.site, cluster, runner)
    await link.close()
    assert (site.root / "bin" / runner.name).read_bytes() == runner.read_bytes()
    assert done[-1] == f"{sys.executable} runs every module already"


async def test_a_venv_is_built_from_wheels_sent_along(site: SlurmSite, tmp_path: Path) -> None:
    """With a base interpreter that stands in for the hour a real one takes."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "some-1-py3-none-any.whl").write_bytes(os.urandom(3_000_000))
    base = tmp_path / "base-python"
    base.write_text(
        '#!/bin/sh\nmkdir -p "$3/bin"\nprintf \'#!/bin/sh\\nexit 0\\n\' >"$3/bin/python"\n'
        'chmod +x "$3/bin/python"\n'
    )
    base.chmod(0o755)
    venv = site.root / "venv"
    site.options = {"python": str(venv / "bin" / "python")}
    link = SshLink(site.lab.sshd.address())
    cluster = Cluster(link, str(site.root))
    done = await prepare(site.site, cluster, ODD_RUNNER, wheelhouse=wheels, base=str(base))
    assert done[-1].endswith("was built and runs every module")
    sent = site.root / "wheels" / "some-1-py3-none-any.whl"
    assert sent.read_bytes() == (wheels / sent.name).read_bytes()
    with pytest.raises(SiteTrouble, match="holds no wheel"):
        site.options = {"python": str(site.root / "other" / "bin" / "python")}
        (tmp_path / "empty").mkdir()
        await prepare(site.site, cluster, ODD_RUNNER, wheelhouse=tmp_path / "empty")
    await link.close()


async def test_what_ended_batches_left_is_removed_and_open_ones_stay(site: SlurmSite) -> None:
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["good-1"], "returned")
    (batch,) = await site.batches()
    old = site.root / "batches" / "bold"
    old.mkdir()
    (old / "tokens").write_text("t")
    long_ago = 1_000_000_000
    os.utime(old, (long_ago, long_ago))
    kept = site.root / "batches" / batch["key"]
    os.utime(kept, (long_ago, long_ago))
    cluster = driver.state.cluster
    assert await cluster.tidy([batch["key"]], 14) == ["batches/bold"]
    assert kept.exists()


async def test_scratch_of_a_finalised_asset_goes_once_the_archive_has_all_of_it(
    site: SlurmSite,
) -> None:
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["good-1"], "returned")
    scratch = site.root / "assets" / "good-1"
    (scratch / "derived").mkdir(parents=True)
    await site.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes)"
        " VALUES ('good-1', 'a.tif', 'tif', 1, 1)"
    )
    await site.world.sql(
        "INSERT INTO track.retention (kind, asset_guid, location, due_at)"
        " VALUES ('site', 'good-1', 'cluster', now())"
    )
    for change in (
        "UPDATE track.job SET state = 'done'",
        "UPDATE track.asset SET finalised_at = now()",
    ):
        assert await sweep(driver.state) == 0
        assert scratch.exists()
        await site.world.sql(change)
        await site.world.sql("UPDATE track.retention SET due_at = now()")
    assert await sweep(driver.state) == 0
    ((why,),) = await site.world.sql("SELECT outcome FROM track.retention")
    assert why == "a.tif of good-1 is not in the archive yet"
    await site.world.sql("UPDATE track.file SET synchronised_at = now()")
    assert await sweep(driver.state) == 0  # not so soon again
    await site.world.sql("UPDATE track.retention SET due_at = now()")
    assert await sweep(driver.state) == 1
    assert not scratch.exists()
    assert await sweep(driver.state) == 0


async def test_one_sweep_takes_all_that_is_due_past_any_number_that_may_not_go(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.slurm.leftovers.AT_ONCE", 2)
    kept, gone = [f"kept-{n}" for n in range(5)], [f"gone-{n}" for n in range(5)]
    for guid in kept + gone:
        await site.world.register(new(guid))
        (site.root / "assets" / guid).mkdir(parents=True)
    await site.world.sql(
        "INSERT INTO track.retention (kind, asset_guid, location, due_at)"
        " SELECT 'site', g, 'cluster', now() FROM unnest(CAST(:guids AS text[])) g",
        guids=kept + gone,
    )
    await site.world.sql("UPDATE track.job SET state = 'done'")
    await site.world.sql(
        "UPDATE track.asset SET finalised_at = now() WHERE guid = ANY(:guids)", guids=gone
    )
    driver = site.driver()
    asked = driver.wire.counts.commands
    assert await sweep(driver.state) == 5
    assert driver.wire.counts.commands - asked <= 3
    assert sorted(each.name for each in (site.root / "assets").iterdir()) == kept
    rows = await site.world.sql(
        "SELECT DISTINCT outcome, due_at > now() + interval '5 hours' FROM track.retention"
        " WHERE done_at IS NULL"
    )
    assert rows == [("the asset is not finalised, or is being done again", True)]


async def test_scratch_that_a_forgotten_job_made_after_the_sweep_is_swept_too(
    site: SlurmSite, caplog: pytest.LogCaptureFixture
) -> None:
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["good-1"], "returned")
    await site.world.sql(
        "INSERT INTO track.retention (kind, asset_guid, location, due_at, done_at)"
        " VALUES ('site', 'good-1', 'cluster', now(), now())"
    )
    await site.world.sql("UPDATE track.job SET state = 'done'")
    await site.world.sql("UPDATE track.asset SET finalised_at = now()")
    folders = [site.root / "assets" / name for name in ("good-1", "somebody-else", "young")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        os.utime(folder, (1_000_000_000, 1_000_000_000))
    driver._tidy_at = 0.0
    await driver.turn()
    async with asyncio.timeout(60):
        while folders[0].exists():
            await driver.turn()
            await asyncio.sleep(0.05)
    assert [folder.exists() for folder in folders] == [False, True, True]
    assert "1 folders under assets/ belong to no asset of ours, such as somebody-else" in (
        caplog.text
    )


async def test_the_block_gives_an_address_that_opens(site: SlurmSite) -> None:
    server = site.lab.sshd
    block = SlurmSiteBlock(
        host="127.0.0.1",
        port=server.port,
        user=server.hop.user,
        private_key=server.hop.private_key.strip(),  # as a form leaves it
        host_key=server.host_key,
        jump_host="127.0.0.1",
        jump_port=server.port,
        jump_host_key=server.host_key,
    )
    link = SshLink(block.address())
    assert (await link.run("echo hello")).stdout == b"hello\n"
    await link.close()
    assert "PRIVATE" not in repr(block.address())
    with pytest.raises(ValueError, match="jump_host_key"):
        SlurmSiteBlock(**{**block.model_dump(), "jump_host_key": ""})
