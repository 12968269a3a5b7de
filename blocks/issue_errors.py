"""What can go wrong at the issue tracker, and what GitHub's answers mean.

This is the only place that reads the status of an answer.
"""

import re
import time
from email.utils import parsedate_to_datetime

import httpx

MAX_PAUSE_S = 3600.0
"""GitHub's limits are by the hour."""

SECONDARY_LIMIT_S = 60.0
"""How long GitHub wants to be left alone when it does not say it."""


class TrackerError(Exception):
    """The tracker did not take a problem; the message says why and what to do.

    `retry_after`: seconds after which the same report may be made again, or None when that cannot
    help. With `needs_operator` it helps once a person has changed what the message names.
    """

    retry_after: float | None = None
    needs_operator: bool = False

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        if seconds is not None:
            self.retry_after = seconds


class TrackerAway(TrackerError):
    """It gave no answer, or none in its own words; whether it did what was asked is not known."""

    retry_after = 60.0


class TrackerLimited(TrackerError):
    """It wants to be asked less often."""

    retry_after = SECONDARY_LIMIT_S


class TrackerTokenRefused(TrackerError):
    """It does not accept the token."""

    retry_after = 600.0
    needs_operator = True


class TrackerForbids(TrackerError):
    """The token may not do that there."""

    retry_after = 600.0
    needs_operator = True


class NoTrackerRepository(TrackerError):
    """There is no such repository, or the token may not see it."""

    retry_after = 600.0
    needs_operator = True


class IssuesDisabled(TrackerError):
    """The repository has no issues."""

    retry_after = 600.0
    needs_operator = True


class IssueRefused(TrackerError):
    """It refuses this very issue, and will refuse it again."""


def no_answer(what: str, lost: Exception) -> TrackerAway:
    """What it means that a call got no answer, or one that is not the tracker's own."""
    return TrackerAway(
        f"{what}: {lost!r}; the issue tracker does not answer, and whether it did it is not known: "
        "the next try looks first"
    )


def check_answer(what: str, repository: str, answer: httpx.Response) -> None:
    """Raise the TrackerError that a status means; none for one of success."""
    status = answer.status_code
    if answer.is_success:
        return
    words = f"{what}: {status} {_message_of(answer)}"
    if status in (403, 429) and (limited := _limited_s(answer)) is not None:
        raise TrackerLimited(f"{words}; wait {limited:.0f} s", seconds=limited)
    if answer.is_redirect:
        raise NoTrackerRepository(
            f"{words}; '{repository}' has moved: correct issue_tracker_repository"
        )
    match status:
        case 401:
            raise TrackerTokenRefused(f"{words}; set a valid issue_tracker_token")
        case 403:
            raise TrackerForbids(
                f"{words}; give issue_tracker_token the right to write issues and their labels in "
                f"'{repository}', and look whether that is archived"
            )
        case 404:
            raise NoTrackerRepository(
                f"{words}; correct issue_tracker_repository, or let issue_tracker_token see "
                f"'{repository}'"
            )
        case 410:
            raise IssuesDisabled(f"{words}; enable issues in the settings of '{repository}'")
        case _ if status >= 500 or status == 408:
            raise TrackerAway(f"{words}; the issue tracker is out of order")
        case _:
            raise IssueRefused(f"{words}; the issue tracker refuses the issue itself")


def _message_of(answer: httpx.Response) -> str:
    """GitHub's own words, in one line."""
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    if isinstance(body, dict):
        body = body.get("message") or body
    return re.sub(r"\s+", " ", str(body))[:300]


def _limited_s(answer: httpx.Response) -> float | None:
    """How many seconds to wait for a limit to be over; None: the refusal is no limit."""
    headers = answer.headers
    if (after := headers.get("retry-after", "")).isdigit():
        return min(float(after), MAX_PAUSE_S)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        # Counted by its own clock, since ours may be wrong.
        return min(max(1.0, float(reset) - _clock_of(answer)), MAX_PAUSE_S)
    if answer.status_code == 429 or "rate limit" in answer.text.lower():
        return SECONDARY_LIMIT_S
    return None


def _clock_of(answer: httpx.Response) -> float:
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()
