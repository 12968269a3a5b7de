"""Units: what an agent has, and what a stage costs there."""

import pytest
from pydantic import ValidationError

from schemas.launchers import UnitCost, Units
from schemas.pipeline.model import Resources


@pytest.mark.parametrize(
    ("written", "process", "scheduler"),
    [(18, 18, 18), ({"process": 18, "scheduler": 1}, 18, 1), ({"process": 18}, 18, 1)],
)
def test_a_cost_is_one_number_or_one_for_each_launcher(
    written: object, process: int, scheduler: int
) -> None:
    asked = Resources.model_validate({"units": written}).model_dump(mode="json", by_alias=True)
    cost = UnitCost.asked(asked)
    assert (cost.process, cost.scheduler) == (process, scheduler)
    assert Resources.model_validate(asked).model_dump(mode="json", by_alias=True) == asked


@pytest.mark.parametrize("written", [0, -1, 2.5, True, "18", {"local": 1}, {"process": 0}])
def test_a_cost_that_is_none_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        Resources.model_validate({"units": written})


def test_a_stage_that_says_nothing_costs_one() -> None:
    assert UnitCost.asked({}) == UnitCost(process=1, scheduler=1)


def test_what_is_left_is_never_less_than_nothing() -> None:
    left = Units(process=4, scheduler=1).less(Units(process=6, scheduler=1))
    assert left == Units()
    assert Units(process=4, scheduler=9).least(Units(process=6, scheduler=1)) == Units(
        process=4, scheduler=1
    )
