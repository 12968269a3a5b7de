"""CSV that a spreadsheet reads as it is meant."""

import csv
import io

import pytest

from schemas.tabular import csv_text


def test_texts_come_back_as_they_were() -> None:
    rows = [("a,b", 'say "no"'), ("two\nlines", "Ærø"), (1.5, -3)]
    read = list(csv.reader(io.StringIO(csv_text(("x", "y"), rows))))
    assert read == [["x", "y"], ["a,b", 'say "no"'], ["two\nlines", "Ærø"], ["1.5", "-3"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_is_taken_for_a_formula(text: str) -> None:
    assert f"'{text}" in csv_text(("x",), [(text,)])
