"""A large session as people read it, and how often its numbers are worked out again."""

import pytest

from tasks.dispatch.reports import REFRESH_S, pause_after
from tasks.dispatch.session_page import session_page
from track.reports.session_counts import PipelineCounts, SessionCounts, StageCounts, WithPerson

PIPELINES = [PipelineCounts("specimen", 4000, 3000, 12), PipelineCounts("label", 812, 0, 0)]
STAGES = [
    StageCounts("specimen", "ocr", {"done": 3988, "failed": 12}),
    StageCounts("label", "load", {"waiting": 700, "running": 112}),
]


def test_numbers_come_first_and_states_that_nothing_is_in_have_no_column() -> None:
    page = session_page(SessionCounts(PIPELINES, STAGES, [], 0))
    assert page == (
        "4,812 assets: 3,000 finalised, 12 quarantined; 0 need a person\n"
        "\n"
        "| pipeline | assets | finalised | quarantined |\n"
        "| --- | --- | --- | --- |\n"
        "| specimen | 4,000 | 3,000 | 12 |\n"
        "| label | 812 | 0 | 0 |\n"
        "\n"
        "| pipeline | stage | waiting | running | done | failed |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| specimen | ocr |  |  | 3,988 | 12 |\n"
        "| label | load | 700 | 112 |  |  |\n"
    )


def test_those_that_need_a_person_are_listed_and_it_is_said_how_many_more_there_are() -> None:
    listed = [WithPerson("g1", "a.tif", "failed", "ocr", "the disk is full")]
    page = session_page(SessionCounts(PIPELINES, STAGES, listed, 1203))
    assert "; 1,203 need a person\n" in page
    assert page.endswith(
        "### Needs a person\n"
        "\n"
        "| specimen | file | state | stage | reason |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| g1 | a.tif | failed | ocr | the disk is full |\n"
        "\n"
        "… and 1,202 more.\n"
    )


def test_a_reason_of_any_text_stays_in_its_cell() -> None:
    listed = [WithPerson("g1", "a|b.tif", "failed", "ocr", "it said:\r\n<b>| no")]
    page = session_page(SessionCounts(PIPELINES, STAGES, listed, 1))
    assert "| g1 | a\\|b.tif | failed | ocr | it said:  &lt;b>\\| no |\n" in page


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.0, REFRESH_S), (0.2, REFRESH_S), (2.0, 38.0)])
def test_what_is_shown_takes_a_twentieth_of_the_time_at_most(took_s: float, pause_s: float) -> None:
    assert pause_after(took_s) == pytest.approx(pause_s)
