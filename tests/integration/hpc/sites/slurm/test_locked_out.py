"""Accounts that cannot work: the site says why, and nobody knocks on until we are banned."""

import shutil
import time
from pathlib import Path

from demo.lab.sshd import running_sshd
from hpc.transport.ssh import SshLink
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from track.commands.site_health import degrade
from track.schema.database import transact


async def degraded(site: SlurmSite) -> str:
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    return str(why)


async def test_a_second_factor_is_on_the_site_at_once_whatever_was_there_before(
    site: SlurmSite, tmp_path: Path
) -> None:
    await transact(site.engine, degrade, site.name, "nobody answers")
    options = ("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    with running_sshd(tmp_path / "sshd", options=options) as server:
        driver = site.driver(ODD_RUNNER, wire=SshLink(server.address()))
        for _ in range(5):
            await driver.turn()
        assert server.log().count("Partial publickey") == 1
    assert "wants a second factor after it: password" in await degraded(site)
    changes = await site.world.sql(
        "SELECT old, new FROM track.history WHERE what = 'site.degraded' ORDER BY id"
    )
    assert len(changes) == 2


async def test_an_account_whose_commands_are_refused_is_asked_less_and_less(
    site: SlurmSite, tmp_path: Path
) -> None:
    now = time.monotonic()
    expired = "ForceCommand echo 'Password change required but no TTY available.' >&2; exit 1"
    with running_sshd(tmp_path / "sshd", options=(expired,)) as server:
        link = SshLink(server.address())
        driver = site.driver(ODD_RUNNER, wire=link, clock=lambda: now)
        for _ in range(120):
            await driver.turn()
            now += 5.0
    assert link.counts.connections == 1
    assert link.counts.commands <= 8
    assert "Password change required but no TTY available" in await degraded(site)


async def test_a_program_that_a_login_node_lacks_is_named(site: SlurmSite, tmp_path: Path) -> None:
    """Its Slurm comes by a module nobody loaded, and it has no sed, which all answers need."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("sh", "mkdir", "date", "id", "df", "cat", "awk", "find", "gzip", "tar"):
        (bare / name).symlink_to(shutil.which(name) or name)
    link = SshLink(site.lab.sshd.address())
    driver = site.driver(ODD_RUNNER, wire=link, prelude=f"PATH={bare}")
    await driver.turn()
    why = await degraded(site)
    assert "no sbatch, scancel, squeue, sed in the PATH there" in why
    assert "module load slurm" in why and "administrators for sed" in why
