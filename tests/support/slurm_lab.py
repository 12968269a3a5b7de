"""The one lab of a pytest process, a real Slurm with an sshd before it, and a site on it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab.slurm_lab import MISSING, SlurmLab, installed, running_lab
from tests.support.needed import need
from tests.support.slurm_site import SlurmSite, slurm_site

LAB = pytest.StashKey[SlurmLab]()


@pytest.fixture(scope="session")
def slurm_lab(request: pytest.FixtureRequest) -> SlurmLab:
    """The one lab of this pytest process, whichever folders' tests ask for it."""
    need(installed(), MISSING)
    config = request.config
    if LAB not in config.stash:
        stack = ExitStack()
        config.stash[LAB] = stack.enter_context(running_lab())
        config.add_cleanup(stack.close)
    return config.stash[LAB]


@pytest.fixture
def lab(slurm_lab: SlurmLab) -> Iterator[SlurmLab]:
    """The lab, with no job left over afterwards."""
    yield slurm_lab
    slurm_lab.cancel_all()


@pytest.fixture(autouse=True)
def quiet_paramiko() -> None:
    """Its thread logs tracebacks of connections that the tests cut."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@pytest.fixture
async def site(
    lab: SlurmLab, engine: AsyncEngine, database: str, tmp_path: Path
) -> AsyncIterator[SlurmSite]:
    """A site on the lab, with a fresh database behind."""
    async with slurm_site(lab, engine, database, tmp_path) as made:
        yield made


@pytest.fixture
async def far(
    lab: SlurmLab, engine: AsyncEngine, database: str, tmp_path: Path
) -> AsyncIterator[SlurmSite]:
    """A site whose nodes have no network."""
    async with slurm_site(lab, engine, database, tmp_path, callback=None) as made:
        yield made
