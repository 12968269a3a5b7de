"""How the suite is shared among several pytest processes (`make test`): by whole files."""

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"tests/acceptance", "tests/faults/recovery"})
"""Folders whose files share what costs too much to be started by several processes."""


class ByFile(LoadScopeScheduling):
    """Gives a worker a file at a time, in the order of collection: the longest lie in front."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """What one worker runs alone: a test's file, or the files of its folder."""
    file = PurePosixPath(nodeid.partition("::")[0])
    return str(file.parent) if str(file.parent) in TOGETHER else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Instead of xdist's own."""
    config.option.loadscopereorder = False
    return ByFile(config, log)
