"""One system for all kills, which come one after another."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system in a project of its own, started as a person starts it."""
    with running_stack("recovery") as running:
        yield running
