"""The life of a job: its states, what each means, and the only moves there are.

This table is written once, here. `track.jobs.moves` enforces it; tests compare it with
`docs/states.md` and with the database's own check.
"""

from enum import StrEnum


class State(StrEnum):
    """Where one (asset, stage) stands."""

    ABSENT = "absent"
    WAITING = "waiting"
    READY = "ready"
    CLAIMED = "claimed"
    QUEUED = "queued"
    RUNNING = "running"
    RETURNED = "returned"
    DONE = "done"
    EXCLUDED = "excluded"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = State

MOVES: dict[State, frozenset[State]] = {
    S.ABSENT: frozenset({S.WAITING}),
    S.WAITING: frozenset({S.READY, S.ABSENT, S.EXCLUDED, S.FAILED, S.CANCELLED}),
    S.READY: frozenset({S.CLAIMED, S.WAITING, S.ABSENT, S.EXCLUDED, S.CANCELLED}),
    S.CLAIMED: frozenset({S.QUEUED, S.RETURNED, S.DONE, S.READY, S.FAILED, S.CANCELLED}),
    S.QUEUED: frozenset({S.RUNNING, S.RETURNED, S.READY, S.QUEUED, S.FAILED, S.CANCELLED}),
    S.RUNNING: frozenset({S.RETURNED, S.READY, S.FAILED, S.CANCELLED}),
    S.RETURNED: frozenset({S.DONE, S.READY, S.FAILED}),
    S.DONE: frozenset({S.WAITING}),
    S.EXCLUDED: frozenset({S.WAITING}),
    S.FAILED: frozenset({S.WAITING, S.EXCLUDED}),
    S.CANCELLED: frozenset({S.WAITING, S.EXCLUDED}),
}

MEANING: dict[State, str] = {
    S.ABSENT: "the neighbour an edge names does not exist (yet); counts as finished for a session",
    S.WAITING: "an upstream job is not accepted yet",
    S.READY: "may run once `available_at` has passed",
    S.CLAIMED: "a live dispatcher holds it; built-in stages do their work here",
    S.QUEUED: "handed to a site's queue: an attempt and its fence exist",
    S.RUNNING: "its start was granted to exactly one native job",
    S.RETURNED: "the outcome is recorded and applied; effects outside the database remain",
    S.DONE: "finished; accepted by downstream stages",
    S.EXCLUDED: "left out by a rule or a person; accepted by downstream stages",
    S.FAILED: "gave up; a person decides",
    S.CANCELLED: "stopped by a person; a person decides",
}

IN_HAND = frozenset({S.CLAIMED, S.QUEUED, S.RUNNING, S.RETURNED})
"""Somebody is at work on it: a redo has to wait for the end."""

AT_SITE = frozenset({S.QUEUED, S.RUNNING})
"""A site has it: its current attempt is open."""

ENDED = frozenset({S.ABSENT, S.DONE, S.EXCLUDED, S.FAILED, S.CANCELLED})
"""Nothing moves it but a person or a changed upstream."""
