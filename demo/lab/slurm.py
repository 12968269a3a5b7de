"""A Slurm of the demonstration's own: really there, on this host, and gone afterwards.

It is made known as any cluster is, by a block and a site, and made ready by the operator's
own deployment. Afterwards Slurm's records are held against our attempts.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime

from prefect.client.schemas.objects import StateType
from prefect.deployments.flow_runs import arun_deployment
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.slurm_site import SlurmSite
from demo.lab.known_site import NoSiteHere, is_own, known_site, prefect_at
from demo.lab.slurm_lab import MISSING, Record, SlurmLab, installed, running_lab
from refinery import state
from refinery.addresses import Addresses
from refinery.processes import MARK
from refinery.settings import Settings
from schemas.sites import Site

SITE = "slurm"
"""The name that asks for a Slurm of our own, unless the sites file has a site called so."""

MAX_PREPARE_SECONDS = 300.0
MAX_RECORD_SECONDS = 20.0

ATTEMPTS = text("""
    SELECT b.key || ' ' || t.member AS task, t.id AS attempt, t.outcome
    FROM track.attempt t JOIN track.batch b ON b.id = t.batch_id
    WHERE t.site = :site AND t.started_at >= :since
""")


class NoSlurm(NoSiteHere):
    """A Slurm cannot be started or made ready here; the message says what to do."""


def is_wanted(settings: Settings, site: str) -> bool:
    """Whether `--site` asks for a Slurm of our own."""
    return is_own(settings, site, SITE)


@asynccontextmanager
async def own_slurm(
    settings: Settings, addresses: Addresses, engine: AsyncEngine
) -> AsyncIterator[SlurmLab]:
    """A running Slurm behind an sshd, made known as site `slurm` and made ready.

    Raises NoSlurm when it cannot be. Whatever ends the block, all of it is taken down.
    """
    if not installed():
        raise NoSlurm(MISSING)
    with running_lab(cpus=os.cpu_count() or 2, environment={MARK: state.mark(settings)}) as lab:
        # The service that drives sites finds the block and the site by itself.
        async with _block(lab, addresses), _ready_site(settings, addresses, engine, lab):
            yield lab


@asynccontextmanager
async def _block(lab: SlurmLab, addresses: Addresses) -> AsyncIterator[None]:
    """The block of the site, there for a while."""
    with prefect_at(addresses):
        try:
            await SlurmSite(**asdict(lab.sshd.hop)).save(SITE, overwrite=True)
            yield
        finally:
            await SlurmSite.adelete(SITE)


@asynccontextmanager
async def _ready_site(
    settings: Settings, addresses: Addresses, engine: AsyncEngine, lab: SlurmLab
) -> AsyncIterator[None]:
    site = the_site(lab, addresses)
    async with known_site(settings, addresses, engine, site):
        await prepare(site)
        yield


def the_site(lab: SlurmLab, addresses: Addresses) -> Site:
    """The entry that sites.yaml would have."""
    given = {
        "site": SITE,
        "kind": "slurm",
        "root": str(lab.root(SITE)),
        "python": sys.executable,
        "block": SITE,
        "callback": addresses.clusters,
        "poll_s": 5,
    }
    return Site.model_validate(given)


async def prepare(site: Site) -> None:
    """Have the site made ready as an operator would. Raises NoSlurm."""
    run = await arun_deployment(
        "operate/prepare-site",
        parameters={"by": "demo", "site": site.name},
        timeout=MAX_PREPARE_SECONDS,
        poll_interval=0.5,
    )
    if run.state is None or run.state.type != StateType.COMPLETED:
        message = run.state.message if run.state else "it never ran"
        raise NoSlurm(f"operate/prepare-site did not make the site ready: {message}")


async def held_against(
    engine: AsyncEngine, lab: SlurmLab, since: datetime, site: str = SITE
) -> list[str]:
    """What Slurm's own records say against us, a line each: every attempt is exactly one job.

    `since` is the database's time before the first of them was started.
    """
    async with engine.connect() as tx:
        rows = (await tx.execute(ATTEMPTS, {"site": site, "since": since})).all()
    wanted = {row.task: row.attempt for row in rows}
    recorded: Counter[str] = Counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_RECORD_SECONDS):
            while not wanted.keys() <= recorded.keys():  # a job is recorded after its last word
                await asyncio.sleep(0.2)
                recorded = Counter(_member(each) for each in lab.records())
    return list(_faults(wanted, recorded))


def _member(record: Record) -> str:
    """The member that a job ran: a batch of one may be no array."""
    return f"{record.name} {record.line or 0}"


def _faults(wanted: dict[str, int], recorded: Counter[str]) -> Iterator[str]:
    if not wanted:
        yield "no attempt ran at Slurm"
    for task, attempt in wanted.items():
        if recorded[task] != 1:
            yield f"attempt {attempt}: Slurm ran {recorded[task]} jobs for it"


def counted(records: Sequence[Record]) -> str:
    """One line: how many jobs Slurm says there were."""
    return f"{len(records)} jobs in {len({each.array for each in records})} submissions"
