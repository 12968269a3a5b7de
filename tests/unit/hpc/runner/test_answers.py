"""Which answers are our server's word: today's, and those of the version before."""

import pytest

from hpc.runner.client import is_grant, is_outcome, is_refusal, is_token

GRANT = {"attempt": 7, "guid": "g", "params": {}, "metadata": {}}


@pytest.mark.parametrize("how", ["applied", "repeated", "stale"])
def test_an_outcome_is_ours_with_and_without_its_attempt(how: str) -> None:
    assert is_outcome({"applied": how, "attempt": 7}, 7)
    assert is_outcome({"applied": how}, 7), "an earlier server does not name the attempt"
    assert is_outcome({"applied": how, "attempt": 7, "more": 1}, 7), "a later one may say more"
    assert not is_outcome({"applied": how, "attempt": 8}, 7)


@pytest.mark.parametrize("body", [None, {}, [], "applied", {"applied": True}, {"applied": "yes"}])
def test_another_yes_is_no_outcome(body: object) -> None:
    assert not is_outcome(body, 7)


def test_a_grant_names_its_attempt_and_has_what_every_grant_has() -> None:
    assert is_grant(GRANT, 7)
    assert not is_grant(GRANT, 8)
    assert not any(
        is_grant({key: GRANT[key] for key in GRANT if key != gone}, 7)  # type: ignore[attr-defined]
        for gone in GRANT
    )


def test_a_token_is_a_text_that_lives_so_long() -> None:
    assert is_token({"token": "t", "expires_in": 300}, 7)
    assert not is_token({"access_token": "t", "expires_in": 300}, 7)
    assert not is_token({"token": "t", "expires_in": "soon"}, 7)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 413, 422])
def test_a_no_says_so_and_of_which_attempt(status: int) -> None:
    ours = {"error": "why", "refused": "word", "attempt": 7}
    assert is_refusal(status, ours, 7)
    assert not is_refusal(status, ours, 8)
    assert not is_refusal(status, {"error": "why"}, 7)
    assert not is_refusal(status, {**ours, "refused": None}, 7)
    assert not is_refusal(404, ours, 7) and not is_refusal(503, ours, 7)


@pytest.mark.parametrize(
    "words",
    [
        "attempt 7 was started by native job 4711",
        "attempt 7 is not wanted any more",
        "there is no attempt 7",
        "attempt 7 ended more than 7 days ago",
        "the token is not that of attempt 7",
    ],
)
def test_an_earlier_server_is_known_by_its_words(words: str) -> None:
    assert is_refusal(409, {"error": words}, 7)
    assert not is_refusal(409, {"error": words.replace("attempt 7", "attempt 77")}, 7)
    assert not is_refusal(409, {"error": words, "path": "/attempts/7"}, 7)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_token"},
        {"detail": "Not Found"},
        {"message": "no Route matched with those values"},
        {"status": 404, "error": "Not Found", "path": "/attempts/7/complete"},
        "<html>Sign in</html>",
        None,
    ],
)
def test_what_gateways_say_is_no_refusal(body: object) -> None:
    assert not any(is_refusal(status, body, 7) for status in (401, 403, 404, 409, 422))
