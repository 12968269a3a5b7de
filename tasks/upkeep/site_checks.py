"""A site as an operator meets it: its definition from the database, its address from its block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect.artifacts import acreate_table_artifact

from blocks.slurm_site import SlurmSite
from hpc.archives import build_runner
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.doctor import SiteFinding, examine, summary
from hpc.sites.slurm.prepare import prepare
from hpc.transport.ssh import SshLink
from schemas.sites import Site
from schemas.ssh_address import SshAddress
from tasks.upkeep.agent_checks import examine_agents
from tasks.upkeep.database import open_database
from track.commands.selection import CannotDo
from track.commands.site_health import forget_lacks
from track.jobs.sites import read_sites
from track.schema.history import record


async def find_site(name: str) -> Site:
    """A Slurm site by its name. Raises CannotDo."""
    async with open_database() as engine, engine.connect() as tx:
        known = {each.name: each for each in await read_sites(tx)}
    slurm = [each for each, found in known.items() if found.can.over_ssh]
    if name not in slurm:
        raise CannotDo(f"site: no Slurm site is called '{name}': there are {', '.join(slurm)}")
    return known[name]


async def find_address(site: Site) -> SlurmSite:
    """The block that says how to reach a site. Raises CannotDo."""
    try:
        found: SlurmSite = await SlurmSite.aload(site.block or site.name)
        return found
    except ValueError as error:
        raise CannotDo(
            f"site {site.name}: there is no block slurm-site/{site.block}; make it under Blocks "
            "in the Prefect UI"
        ) from error


@asynccontextmanager
async def _reached(name: str) -> AsyncIterator[tuple[Site, SshAddress, SshLink, Path]]:
    """A site, its address, a connection to it, and the runner's file built for it."""
    site = await find_site(name)
    address = (await find_address(site)).address()
    link = SshLink(address)
    try:
        with TemporaryDirectory() as built:
            yield site, address, link, build_runner(Path(built))
    finally:
        await link.close()


async def prepare_site(name: str, wheelhouse: str, base: str, by: str) -> list[str]:
    """Make a site ready; what was done. Raises CannotDo, SiteTrouble, WireError."""
    folder = Path(wheelhouse) if wheelhouse else None
    async with _reached(name) as (site, address, link, runner):
        if folder is not None and not folder.is_dir():
            raise CannotDo(f"wheelhouse: there is no folder {folder} on the worker's host")
        cluster = Cluster(link, site.root, address.prelude)
        done = await prepare(site, cluster, runner, wheelhouse=folder, base=base)
    actor = f"operator:{by}"
    async with open_database() as engine, engine.begin() as tx:
        await record(tx, actor=actor, what="site.prepared", new=name, why=done[-1])
        await forget_lacks(tx, name, actor=actor)
    return done


async def examine_site(name: str) -> list[SiteFinding]:
    """What a site is like, be it reached over SSH or worked by agents. Raises CannotDo."""
    async with open_database() as engine, engine.connect() as tx:
        known = {each.name: each for each in await read_sites(tx)}
        if name in known and not known[name].can.driven:
            return await examine_agents(tx, known[name])
    async with _reached(name) as (site, address, link, runner):
        return await examine(site, link, address.prelude, runner)


async def show_findings(name: str, findings: list[SiteFinding]) -> str:
    """Show the findings as a table on the run's page; in one line, `well` or what is not."""
    rows = [
        {
            "what": finding.what,
            "is": {True: "well", False: "NOT WELL", None: "not told"}[finding.well],
            "found": finding.found,
            "what to do": "" if finding.well else finding.remedy,
        }
        for finding in findings
    ]
    await acreate_table_artifact(
        key=f"site-{name.lower().replace('_', '-').replace('.', '-')}",
        table=rows,
        description=f"What the doctor found at site {name}.",
    )
    return summary(findings)
