"""How moments, durations, sizes and numbers are written for people."""

from datetime import UTC, datetime, timedelta

import pytest

from board.rendering import ago, lasting, make_environment, number, quoted, size, when, with_query


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (42, "42 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3 * 3600 + 240, "3 h 4 min"),
        (3 * 86400, "3 d"),
        (3 * 86400 + 5 * 3600, "3 d 5 h"),
        (-90, "1 min"),
        (None, "–"),
    ],
)
def test_a_duration_is_told_in_the_units_that_matter(seconds: float | None, words: str) -> None:
    assert lasting(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (160_000_000, "160 MB"),
        (2_400_000_000_000, "2.4 TB"),
    ],
)
def test_a_size_is_told_in_powers_of_a_thousand(count: float, words: str) -> None:
    assert size(count) == words


def test_a_moment_carries_its_instant_for_the_visitors_own_clock() -> None:
    at = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
    assert 'datetime="2026-11-30T09:30:00+00:00"' in when(at)
    assert when(None) == "–"
    assert "2 h ago" in ago(datetime.now(UTC) - timedelta(hours=2))


def test_numbers_have_thin_spaces_between_thousands() -> None:
    assert number(1_234_567) == "1\u202f234\u202f567"


def test_a_step_of_an_address_keeps_slashes_blanks_and_letters_to_itself() -> None:
    assert quoted("æ 1/2?x") == "%C3%A6%201%2F2%3Fx"


def test_a_query_leaves_out_what_is_empty() -> None:
    assert with_query("/find", {"q": "a b", "page": ""}, state="done") == "/find?q=a+b&state=done"
    assert with_query("/find", {"q": "x"}, q=None) == "/find"


def test_every_template_can_be_read() -> None:
    templates = make_environment()
    names = templates.list_templates()
    assert "layout.html" in names
    for name in names:
        templates.get_template(name)
