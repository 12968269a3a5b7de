"""The table of states is one thing: code, documentation and database say the same."""

from pathlib import Path

from track.schema.states import ENDED, IN_HAND, MEANING, MOVES, State
from track.schema.tables import job

DOCS = Path(__file__).parents[4] / "docs" / "states.md"


def as_markdown() -> str:
    """The table as the documentation shows it."""
    lines = ["| state | means | leaves to |", "|---|---|---|"]
    lines += [
        f"| {state} | {MEANING[state]} | {', '.join(s for s in State if s in MOVES[state])} |"
        for state in State
    ]
    return "\n".join(lines) + "\n"


def test_the_documentation_shows_the_table_of_the_code() -> None:
    assert as_markdown() in DOCS.read_text(encoding="utf-8")


def test_every_state_has_a_meaning_and_a_way_on() -> None:
    assert set(MEANING) == set(MOVES) == set(State)
    assert all(MOVES[state] for state in State)


def test_every_state_can_be_reached_from_waiting() -> None:
    reached = {State.WAITING}
    while new := {to for state in reached for to in MOVES[state]} - reached:
        reached |= new
    assert reached == set(State)


def test_what_ended_is_moved_only_by_a_person_or_an_upstream() -> None:
    assert ENDED.isdisjoint(IN_HAND)
    assert all(MOVES[state] <= {State.WAITING, State.EXCLUDED} for state in ENDED)
    assert {State.DONE, State.EXCLUDED} < ENDED


def test_the_databases_check_lists_the_same_states() -> None:
    (check,) = [c for c in job.constraints if c.name == "job_state"]
    assert all(f"'{state}'" in str(check.sqltext) for state in State)  # type: ignore[attr-defined]
