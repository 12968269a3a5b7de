"""What is computed from a session's history, and which dispatchers' ends are followed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.benchmarks.carried import (
    ALL,
    OURS,
    Step,
    carry,
    cpu_rows,
    handovers,
    latency_rows,
    less,
    span_s,
)
from tests.benchmarks.rows import quantile

BEGAN = datetime(2026, 3, 1, 9, tzinfo=UTC)


def steps(text: str) -> list[Step]:
    """One per word, `asset.job.state@seconds`; job 0 is a built-in."""
    found = []
    for word in text.split():
        what, seconds = word.split("@")
        guid, job, new = what.split(".")
        number, at = int(job), BEGAN + timedelta(seconds=float(seconds))
        found.append(Step(guid, number, number > 0, new, at))
    return found


def test_a_handover_is_from_the_callback_to_the_next_job_in_the_queue() -> None:
    one = "a.1.queued@0 a.1.running@1 a.1.returned@2 a.1.done@3 a.2.claimed@3.5 a.2.queued@4"
    assert handovers(steps(one)) == [2.0]


def test_a_job_that_is_done_at_its_callback_ends_there() -> None:
    assert handovers(steps("a.1.queued@0 a.1.done@2 a.2.queued@2.5 a.2.done@4")) == [0.5]


def test_a_job_that_is_tried_again_is_no_handover() -> None:
    again = "a.1.queued@0 a.1.returned@1 a.1.ready@2 a.1.queued@7 a.1.returned@8 a.2.queued@9"
    assert handovers(steps(again)) == [1.0]


def test_built_in_stages_and_other_assets_are_no_handovers() -> None:
    two = "a.0.done@0 a.1.queued@1 a.1.done@2 b.0.done@1 b.1.queued@5 b.1.done@6 b.0.claimed@7"
    assert handovers(steps(two)) == []


def test_the_span_is_from_the_first_in_the_queue_to_the_last_end_at_a_site() -> None:
    two = "a.0.done@0 a.1.queued@3 a.1.done@9 b.0.done@1 b.1.queued@2 b.1.returned@4 b.1.done@7"
    assert span_s(steps(two + " b.0.done@30")) == 7.0


def test_quantiles_are_of_all_handovers_and_held_against_their_targets() -> None:
    some = " ".join(f"g{n}.1.done@0 g{n}.2.queued@{n}" for n in range(1, 21))
    half, most = latency_rows(steps(some), 10, 18)
    assert (half.ours, half.verdict) == (10.0, "met")
    assert (most.ours, most.verdict) == (19.0, "missed")
    assert "20 samples" in half.what
    assert quantile([3.0], 0.95) == 3.0


def test_processor_time_is_per_job_and_judged_without_what_is_besides() -> None:
    spent = {"prefect": 9.0, "flows": 3.0, "postgres": 1.0, "api-clusters": 0.5, "sites": 0.5}
    spent |= {"runners": 40.0, "ars": 2.0}
    whole, *parts = cpu_rows(spent, 100, OURS, "ours", 0.05)
    assert whole.judged == pytest.approx(0.05)
    assert cpu_rows(spent, 100, ALL, "all", 0.15)[0].judged == pytest.approx(0.14)
    assert [(row.what.split()[-1], row.ours) for row in parts[:2]] == [
        ("flows", 0.03),
        ("postgres", 0.01),
    ]
    besides = [row.what for row in parts if "besides" in row.what]
    assert besides == ["  besides: runners", "  besides: prefect", "  besides: ars"]
    assert all(row.target is None for row in parts)


def test_only_what_was_spent_in_between_counts() -> None:
    assert less({"flows": 5.0, "ars": 1.0}, {"flows": 3.0, "ars": 1.0}) == {"flows": 2.0, "ars": 0}


class Flows:
    """A process whose dispatchers end as they are told to."""

    def __init__(self, *ends: str) -> None:
        self.ends = list(ends)

    async def do(self, what: str, **fields: Any) -> dict[str, Any]:
        assert (what, fields["pace"]) == ("dispatch", {})
        return {"state": self.ends.pop(0), "said": "why"}


async def test_a_dispatcher_that_hands_over_is_followed_by_another() -> None:
    flows: Any = Flows("Handed Over", "Handed Over", "Finished", "Finished")
    assert len(await carry(flows, uuid4())) == 3
    assert flows.ends == ["Finished"]


async def test_any_other_end_of_a_dispatcher_is_an_error() -> None:
    flows: Any = Flows("Handed Over", "Failed")
    with pytest.raises(RuntimeError, match="ended Failed: why"):
        await carry(flows, uuid4())
