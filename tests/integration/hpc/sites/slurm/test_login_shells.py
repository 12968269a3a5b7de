"""Accounts whose login shell is no POSIX shell: all that is said to a cluster passes through it."""

import shutil
from pathlib import Path

import pytest

from demo.lab.sshd import running_sshd
from hpc.archives import build_runner
from hpc.sites.retrieval import RemoteSource
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.doctor import examine
from hpc.sites.slurm.prepare import prepare
from hpc.transport.ssh import SshLink
from tests.support.needed import need
from tests.support.slurm_site import ODD_RUNNER, Eager, SlurmSite

SHELLS = ("bsd-csh", "tcsh", "fish")


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_site_is_prepared_examined_and_driven_through_any_login_shell(
    site: SlurmSite, tmp_path: Path, shell: str
) -> None:
    """`ForceCommand` is what sshd itself does with an account's shell: `SHELL -c COMMAND`."""
    path = shutil.which(shell)
    need(path is not None, f"{shell} is not installed: run `bash tests/debian-packages.sh`")
    force = f'ForceCommand exec {path} -c "$SSH_ORIGINAL_COMMAND"'
    seen = site.lab.sshd.environment
    with running_sshd(tmp_path / "sshd", environment=seen, options=(force,)) as server:
        (tmp_path / "sshd" / "home" / ".cshrc").write_text("echo Welcome to the cluster!\n")
        link = SshLink(server.address(), breaker=Eager())
        try:
            await _everything(site, link, tmp_path)
        finally:
            await link.close()


async def _everything(site: SlurmSite, link: SshLink, folder: Path) -> None:
    prelude = "GREETING='it is me!'; export GREETING"
    cluster = Cluster(link, str(site.root), prelude)
    runner = build_runner(folder / "built")
    done = await prepare(site.site, cluster, runner)
    assert done[-1].endswith("runs every module already")
    findings = {each.what: each for each in await examine(site.site, link, prelude, runner)}
    assert not [each for each in findings.values() if each.well is False]
    assert findings["callback"].well

    await site.queue("makes-a")
    driver = site.driver(ODD_RUNNER, wire=link, prelude=prelude, outputs=folder / "outputs")
    await site.until_states(driver, ["makes-a"], "returned")

    scripts = site.root / "scripts"
    scripts.mkdir()
    words = ["sh", "-c", 'echo "$GREETING $1"', "sh", "and `you`!"]
    assert await cluster.script("k1", str(scripts), words) == ("0", "it is me! and `you`!")
    brought = folder / "brought"
    brought.mkdir()
    asset = site.root / "assets" / "makes-a"
    names = [str(each.relative_to(asset)) for each in asset.rglob("*") if each.is_file()]
    assert names
    await RemoteSource(link, str(site.root), prelude).fetch("makes-a", names, 1000, brought)
    assert all((brought / name).read_bytes() == (asset / name).read_bytes() for name in names)
    assert set(await cluster.sizes([f"makes-a/{names[0]}"])) == {f"makes-a/{names[0]}"}
    assert await cluster.remove(["makes-a"]) == ["makes-a"]
    assert await cluster.tidy([], 14) == []
