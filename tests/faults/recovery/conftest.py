"""One system for all that happens to it, one thing after another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import one_specimen
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """The whole system in a project of its own, started as a person starts it."""
    with running_stack("recovery") as running:
        yield running


@pytest.fixture
def drop(stack: Stack, tmp_path: Path) -> one_specimen.Drop:
    """Put one plain specimen, as a session of its own, on the N-Drive."""
    return lambda: one_specimen.drop(stack, tmp_path)
