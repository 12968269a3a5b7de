"""The doctor says whether workstations' problems become issues, and what is wrong with that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from refinery.doctor import SystemFinding, at_rest
from refinery.settings import Settings
from tests.support.issue_server import REPOSITORY, TOKEN, SmallIssueServer
from tests.support.serving import free_port, served


@pytest.fixture
def server() -> SmallIssueServer:
    return SmallIssueServer()


@pytest.fixture
def url(server: SmallIssueServer) -> Iterator[str]:
    with served(server.app, free_port()) as url:
        yield url


def found(folder: Path, **given: str) -> SystemFinding:
    variables = {f"REFINERY_ISSUE_TRACKER_{name}": value for name, value in given.items()}
    findings = at_rest(Settings.load(folder, variables))
    return next(each for each in findings if each.name == "issue tracker")


def test_one_that_is_not_set_is_well_and_says_how_to_set_it(tmp_path: Path) -> None:
    finding = found(tmp_path)
    assert finding.well and "set issue_tracker_repository" in finding.what


def test_one_that_is_reached_says_where_issues_are_made(tmp_path: Path, url: str) -> None:
    finding = found(tmp_path, REPOSITORY=REPOSITORY, API_URL=url, TOKEN=TOKEN)
    assert finding == SystemFinding("issue tracker", True, f"issues of {REPOSITORY}")


def test_one_that_is_not_says_what_to_correct(
    tmp_path: Path, url: str, server: SmallIssueServer
) -> None:
    where = {"REPOSITORY": REPOSITORY, "API_URL": url, "TOKEN": TOKEN}
    bad = found(tmp_path, **where | {"TOKEN": "ghp_wrong"})
    assert not bad.well and "issue_tracker_token" in bad.what and "ghp_wrong" not in bad.what
    server.has_issues = False
    none = found(tmp_path, **where)
    assert not none.well and "enable issues" in none.what
    away = found(tmp_path, **where | {"API_URL": f"http://127.0.0.1:{free_port()}"})
    assert not away.well and "does not answer" in away.what
