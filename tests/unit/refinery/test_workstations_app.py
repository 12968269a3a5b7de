"""What the settings make of the workstations' application."""

from pathlib import Path
from typing import Any

from refinery.services import bearer_tokens, problem_report
from refinery.settings import Settings

OIDC = {
    "REFINERY_OIDC_ISSUER": "https://login.example.org/realms/museum",
    "REFINERY_OIDC_CLIENT_ID": "board",
    "REFINERY_BOARD_URL": "https://board.example.org",
    "REFINERY_OIDC_READERS": "*",
}


def settings(folder: Path, **given: str) -> Settings:
    return Settings.load(folder, given)


def test_a_providers_tokens_count_where_there_is_one(tmp_path: Path) -> None:
    assert bearer_tokens(settings(tmp_path)) is None
    tokens: Any = bearer_tokens(settings(tmp_path, **OIDC))
    assert (tokens._issuer, tokens._audience) == (OIDC["REFINERY_OIDC_ISSUER"], "board")
    other = settings(tmp_path, **OIDC, REFINERY_OIDC_AUDIENCE="uploads")
    assert bearer_tokens(other)._audience == "uploads"


def test_problems_become_issues_where_there_is_a_repository(tmp_path: Path) -> None:
    assert problem_report(settings(tmp_path)) is None
    given = {
        "REFINERY_ISSUE_TRACKER_REPOSITORY": "museum/workstations",
        "REFINERY_ISSUE_TRACKER_TOKEN": "token",
    }
    report = problem_report(settings(tmp_path, **given))
    assert report.args[0].repository == "museum/workstations"
