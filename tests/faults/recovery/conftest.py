"""One system for all that happens to it, one thing after another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import one_specimen
from tests.support.one_specimen import DISPATCH, Waves
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


@pytest.fixture
def waves(stack: Stack, tmp_path: Path) -> Iterator[Waves]:
    """Sessions of which Prefect shows many jobs by one subflow, wherever there are several.

    By the switch that an operator has: the pace of the dispatchers' deployment.
    """
    kept = stack.prefect.deployment(DISPATCH)["parameters"]
    crowded = kept | {"pace": kept["pace"] | {"burst_s": 0.0001}}
    stack.prefect.change_deployment(DISPATCH, parameters=crowded)
    try:
        yield Waves(stack, tmp_path)
    finally:
        stack.prefect.change_deployment(DISPATCH, parameters=kept)
