"""The issue tracker's block refuses what could not be one, and shows no token."""

import pytest
from pydantic import SecretStr, ValidationError

from blocks.issue_tracker import IssueTracker


def block(**fields: object) -> IssueTracker:
    given = {"repository": "snm/.github", "token": SecretStr("ghp_hunter2")}
    return IssueTracker.model_validate(given | fields)


def test_a_tracker_is_a_repository_at_github_and_a_token_that_is_not_shown() -> None:
    assert block().api_url == "https://api.github.com"
    assert "hunter2" not in repr(block())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repository", "snm"),
        ("repository", "snm/.."),
        ("repository", "../x"),
        ("repository", "snm/a/b"),
        ("repository", "snm/a?b"),
        ("api_url", "api.github.com"),
        ("labels", ["a,b"]),
        ("labels", [" "]),
        ("labels", ["x" * 51]),
        ("token", SecretStr("")),
        ("token", SecretStr("hunter2\n")),
        ("token", SecretStr("hunter2 æ")),
    ],
)
def test_what_could_not_be_meant_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field) as refused:
        block(**{field: value})
    assert "hunter2" not in str(refused.value)
