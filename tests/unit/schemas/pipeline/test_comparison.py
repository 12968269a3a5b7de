"""The one comparison an exclude rule is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.pipeline.comparison import Comparison


@pytest.mark.parametrize(
    ("text", "metadata", "holds"),
    [
        ("asset_subject == 'device target'", {"asset_subject": "device target"}, True),
        ("asset_subject == 'device target'", {"asset_subject": "specimen"}, False),
        ("asset_subject == 'device target'", {}, False),
        ("asset_subject != specimen", {}, True),
        ("asset_subject in [label, 'device target']", {"asset_subject": "label"}, True),
        ("asset_subject not in [label]", {"asset_subject": "label"}, False),
        ("multispecimen == true", {"multi_specimen": True}, True),
        ("preparation_type == pinned", {"preparation_type": ["dry", "pinned"]}, True),
        ("barcode == null", {"barcode": []}, True),
        ("tags.quality > 3", {"tags": {"quality": 4}}, True),
        ("tags.quality > 3", {"tags": {"quality": "4"}}, False),
        ("tags.quality <= b", {"tags": {"quality": "a"}}, True),
        ("tags.quality == x", {"tags": None}, False),
    ],
)
def test_a_comparison_holds_when_it_is_true(
    text: str, metadata: dict[str, Any], holds: bool
) -> None:
    assert Comparison.model_validate(text).holds(metadata) is holds


@pytest.mark.parametrize("text", ["", "a", "==", "status = 3", "status == {a: b}", "status == "])
def test_what_is_not_one_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Comparison.model_validate(text)


def test_an_unknown_field_is_refused_with_the_nearest_known() -> None:
    with pytest.raises(ValidationError) as caught:
        Comparison.model_validate("asset_subjet == label")
    assert caught.value.errors()[0]["ctx"]["nearest"] == "asset_subject"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_a_comparison_is_written_so_that_it_reads_back(value: str) -> None:
    comparison = Comparison(field="status", op="==", value=value)
    assert Comparison.model_validate(str(comparison)) == comparison


@given(st.text())
def test_any_text_is_a_comparison_or_is_refused(text: str) -> None:
    try:
        Comparison.model_validate(text).holds({"status": [1, None, "x"]})
    except ValidationError as error:
        assert str(error)
