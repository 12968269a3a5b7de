"""One system for all acceptance tests, started as a person starts it, ended with the last."""

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """The whole system in a project of its own, its state folder and ports its own as well."""
    with running_stack("acceptance", REFINERY_LOG_FORMAT="json") as running:
        yield running
