"""What our server's answers about an attempt look like: only these are its word.

Between a node and the server stand proxies, gateways and portals, and each of them has a
yes and a no of its own. An answer that has not the shape below says nothing.
"""

import re
from typing import Any

APPLIED = frozenset({"applied", "repeated", "stale"})
NOES = frozenset({400, 401, 403, 409, 413, 422})
"""Statuses under which our server refuses."""
GRANTED = frozenset({"guid", "params", "metadata"})
"""Fields that every grant has, whatever they hold."""


def is_outcome(body: Any, attempt: int) -> bool:
    """Whether `body` acknowledges a message about `attempt`."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("applied"), str)
        and body["applied"] in APPLIED
        # A server of an earlier version does not say which.
        and body.get("attempt", attempt) == attempt
    )


def is_grant(body: Any, attempt: int) -> bool:
    """Whether `body` grants the start of `attempt`; its fields may still be wrong."""
    return isinstance(body, dict) and body.keys() >= GRANTED and body.get("attempt") == attempt


def is_token(body: Any, attempt: int) -> bool:
    """Whether `body` is a token of the archive for `attempt`."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("token"), str)
        and isinstance(body.get("expires_in"), int | float)
        and body.get("attempt", attempt) == attempt
    )


def is_refusal(status: int, body: Any, attempt: int) -> bool:
    """Whether an answer is our server's own no to `attempt`."""
    if status not in NOES or not isinstance(body, dict) or not isinstance(body.get("error"), str):
        return False
    if "refused" in body:
        return isinstance(body["refused"], str) and body.get("attempt") == attempt
    # A server of an earlier version gives nothing but its words, and they name the attempt.
    return body.keys() == {"error"} and bool(re.search(rf"\battempt {attempt}\b", body["error"]))
