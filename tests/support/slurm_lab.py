"""The one lab of a pytest process: a real Slurm on this machine, with an sshd before it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from demo.lab.slurm_lab import MISSING, SlurmLab, installed, running_lab

LAB = pytest.StashKey[SlurmLab]()


@pytest.fixture(scope="session")
def slurm_lab(request: pytest.FixtureRequest) -> SlurmLab:
    """The one lab of this pytest process, whichever folders' tests ask for it."""
    if not installed():
        if os.environ.get("CI"):  # a suite that quietly leaves the cluster out proves nothing of it
            pytest.fail(MISSING)
        pytest.skip(MISSING)
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
