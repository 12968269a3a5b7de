"""What a person writes for a verb becomes its parameters, or a message that says what to write."""

import inspect
from typing import Any, Literal
from uuid import UUID

import pytest
from prefect.utilities.callables import parameter_schema

from flows import operate
from tasks.upkeep.verbs import Verb, WrongParameter, verb_of

SESSION = "0b5c1d0e-5f0f-4f0e-8f3e-2f6a0c1d2e3f"


def verb(name: str) -> Verb:
    return verb_of(name, "", parameter_schema(getattr(operate, name).fn).model_dump())


def test_parameters_are_known_with_kind_choices_help_and_bounds() -> None:
    known = {each.name: each for each in verb("agent").parameters}
    assert next(iter(known)) == "by" and known["by"].required
    assert known["order"].choices[:2] == ("run", "drain") and "\n" not in known["order"].help
    assert (known["agent"].kind, known["agent"].minimum) == ("integer", 1)
    assert (known["hours"].more_than, known["hours"].maximum) == (0, 168)
    assert (known["capacity"].kind, known["capacity"].values) == ("mapping", "integer")
    assert verb("resubmit").parameter("session").kind == "uuid"


def test_texts_are_read_as_what_the_parameter_is() -> None:
    given = {"by": "ib", "agent": "3", "hours": "0.5", "capacity": ["process=4", "lsf=7"]}
    assert verb("agent").read(given) == {
        "by": "ib", "agent": 3, "hours": 0.5, "capacity": {"process": 4, "lsf": 7},
    }  # fmt: skip
    assert verb("agent").parameter("capacity").read('{"process": 4}') == {"process": 4}
    assert verb("switch").read({"by": "ib", "on": "off", "site": ""}) == {"by": "ib", "on": False}
    assert verb("resubmit").parameter("session").read(SESSION.upper()) == SESSION


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("skip", {"by": "ib", "guid": "g"}, "stage: it is needed; the stage to leave out"),
        ("skip", {"by": "ib", "giud": "g"}, "giud: .* did you mean 'guid'"),
        ("skip", {"by": "ib", "guid": "g" * 201, "stage": "s"}, "guid: at most 200 characters"),
        ("agent", {"by": "ib", "order": "drian"}, "order: .*did you mean 'drain'"),
        ("agent", {"by": "ib", "agent": "three"}, "agent: 'three' is not a whole number"),
        ("agent", {"by": "ib", "agent": "0"}, "agent: at least 1"),
        ("agent", {"by": "ib", "hours": "0"}, "hours: more than 0"),
        ("agent", {"by": "ib", "hours": "169"}, "hours: at most 168"),
        ("agent", {"by": "ib", "hours": "nan"}, "hours: 'nan' is not a number"),
        ("agent", {"by": "ib", "capacity": "process"}, "capacity: write each as key=value"),
        ("agent", {"by": "ib", "capacity": "{process"}, "capacity: it is no JSON"),
        ("agent", {"by": "ib", "capacity": ["process=many"]}, "capacity: 'many' is not a whole"),
        ("agent", {"by": ["ib", "jo"]}, "by: give it once"),
        ("switch", {"by": "ib", "on": "maybe"}, "on: 'maybe' is neither yes nor no"),
        ("resubmit", {"by": "ib", "session": "friday"}, "session: 'friday' is not an id"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_remedy(
    name: str, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(WrongParameter, match=f"^{says}"):
        verb(name).read(given)


def test_every_kind_of_annotation_that_a_flow_may_have_is_read() -> None:
    def flow(
        count: int | None = None, names: list[str] | None = None, one: Literal["only"] = "only",
        session: UUID | None = None, share: float = 0.5,
    ) -> None: ...  # fmt: skip

    made = verb_of("flow", "", parameter_schema(flow).model_dump())
    assert [each.kind for each in made.parameters] == ["integer", "list", "text", "uuid", "number"]
    assert made.parameter("names").read(["a", "b"]) == ["a", "b"]
    assert made.parameter("one").choices == ("only",)
    assert list(inspect.signature(flow).parameters) == [each.name for each in made.parameters]
