"""Why a file was not taken in: three parts, one sentence, and sentences of before."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.quarantine import QuarantineEntry, sentence
from tasks.errors import Quarantined
from track.schema.migrations import versions

(MIGRATION,) = Path(str(versions.__file__)).parent.glob("*_quarantine_as_data.py")
parted: Callable[..., dict[str, str]] = importlib.import_module(
    f"{versions.__name__}.{MIGRATION.stem}"
).parted


def test_a_quarantine_is_written_as_one_sentence_and_keeps_its_parts() -> None:
    error = Quarantined("a: b.tif", "torn; or cut", "copy it again; or ask")
    assert str(error) == str(error.entry) == "a: b.tif: torn; or cut; copy it again; or ask"
    assert error.entry == QuarantineEntry(error.file, error.problem, error.remedy)
    assert sentence(None) is None


@pytest.mark.parametrize(
    ("said", "specimen", "parts"),
    [
        ("g.tif: it is cut; copy it again", "g", ("g.tif", "it is cut", "copy it again")),
        ("g.tif: a; b; c", "g", ("g.tif", "a; b", "c")),
        ("a: b.tif: torn; again", "a: b", ("a: b.tif", "torn", "again")),
        ("a: b.tif: torn; again", "", ("a", "b.tif: torn", "again")),
        ("x; y: torn; again", "x; y", ("x; y", "torn", "again")),
        (" æ.json: \n; again", " æ", (" æ.json", "\n", "again")),
        ("torn", "g", ("", "torn", "")),
        ("g.tif: torn", "g", ("", "g.tif: torn", "")),
        ("x; y: torn", "", ("", "x; y: torn", "")),
        (": torn; again", "", ("", ": torn; again", "")),
        ("g: torn; ", "", ("", "g: torn; ", "")),
        ("", "", ("", "", "")),
    ],
)
def test_an_older_sentence_is_divided(said: str, specimen: str, parts: tuple[str, ...]) -> None:
    found = parted(said, specimen)
    assert QuarantineEntry(**found) == QuarantineEntry(*parts)
    assert sentence(found) == said


@given(st.lists(st.sampled_from(["a", ": ", "; ", " ", "\u2028", "æ", '"'])), st.text(max_size=3))
def test_no_character_of_a_sentence_is_lost(pieces: list[str], specimen: str) -> None:
    said = "".join(pieces)
    assert sentence(parted(said, specimen)) == said
