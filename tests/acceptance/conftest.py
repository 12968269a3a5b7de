"""One system for all acceptance tests, started as a person starts it, ended with the last."""

from collections.abc import Iterator

import pytest

from tests.support.people import People, people
from tests.support.stack import Stack, running_stack


@pytest.fixture(scope="package")
def told() -> Iterator[People]:
    """Who is told of that system's alarms."""
    with people() as found:
        yield found


@pytest.fixture(scope="package")
def stack(told: People) -> Iterator[Stack]:
    """The whole system in a project of its own, its state folder and ports its own as well."""
    given = {"REFINERY_ALARM_URLS": " ".join(told.urls), "REFINERY_LOG_FORMAT": "json"}
    given["REFINERY_ALARMS_TOGETHER_S"] = "1"
    with running_stack("acceptance", **given) as running:
        yield running
