"""The lab and a site on it, for things that go wrong."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab.slurm_lab import SlurmLab
from tests.support.slurm_lab import lab, slurm_lab
from tests.support.slurm_site import SlurmSite, slurm_site

__all__ = ["lab", "slurm_lab"]


@pytest.fixture(autouse=True)
def quiet_paramiko() -> None:
    """Its thread logs tracebacks of connections that the tests cut."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@pytest.fixture
async def site(
    lab: SlurmLab, engine: AsyncEngine, database: str, tmp_path: Path
) -> AsyncIterator[SlurmSite]:
    """A site on the lab."""
    async with slurm_site(lab, engine, database, tmp_path) as made:
        yield made
