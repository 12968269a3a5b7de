"""A session as people read it, and how often its numbers are worked out again."""

from pathlib import Path
from uuid import UUID

import pytest

from tasks.dispatch.reports import REFRESH_S, artifact_key, pause_after
from tasks.dispatch.session_page import Heading, session_page
from track.records.sessions import SessionName
from track.reports.session_counts import PipelineCounts, SessionCounts, StageCounts, WithPerson

PIPELINES = [PipelineCounts("specimen", 4000, 3000, 12), PipelineCounts("label", 812, 0, 0)]
STAGES = [
    StageCounts("specimen", "ocr", {"done": 3988, "failed": 12}),
    StageCounts("label", "load", {"waiting": 700, "running": 112}),
]
ID = UUID("3f2a9c1b-0000-4000-8000-000000000000")
NAME = SessionName("WORKHERB0001", Path("/n/WORKHERB0001/2026-11-28_15-53-19"))
PLAIN = Heading(ID, NAME)
LINE = {
    "specimen": "g 1",
    "state": "queued",
    "stage": "ocr",
    "reason": "",
    "subject": "specimen",
    "barcodes": "NHMD1",
}


def test_a_page_says_whose_it_is_and_where_the_board_has_more() -> None:
    empty = SessionCounts([], [], [], 0)
    head = (
        "## WORKHERB0001 2026-11-28_15-53-19\n\n"
        f"`/n/WORKHERB0001/2026-11-28_15-53-19`, session `{ID}`\n\n"
    )
    assert session_page(empty, PLAIN).startswith(f"{head}0 assets: ")
    page = session_page(empty, Heading(ID, NAME, "http://board:8300"))
    links = (
        f"[the session](http://board:8300/sessions/{ID}) · "
        "[what needs a person](http://board:8300/attention)"
    )
    assert page.startswith(f"{head}{links}\n\n0 assets: ")


def test_specimens_have_a_line_each_and_are_linked_where_there_is_a_board() -> None:
    counts = SessionCounts(PIPELINES, STAGES, [], 0)
    assert session_page(counts, PLAIN, [LINE]).endswith(
        "### Specimens\n\n"
        "| specimen | state | stage | reason | subject | barcodes |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| g 1 | queued | ocr |  | specimen | NHMD1 |\n"
    )
    linked = session_page(counts, Heading(ID, NAME, "http://board:8300"), [LINE])
    assert "| [g 1](http://board:8300/specimens/g%201) | queued |" in linked


def test_a_page_is_filed_under_its_workstation_and_folder() -> None:
    assert artifact_key(NAME) == "workherb0001-2026-11-28-15-53-19"
    assert artifact_key(SessionName("Å", Path("/n/Ø"))) == "session"


def test_numbers_come_first_and_states_that_nothing_is_in_have_no_column() -> None:
    page = session_page(SessionCounts(PIPELINES, STAGES, [], 0), PLAIN)
    assert page.partition("\n\n4")[2] == (
        ",812 assets: 3,000 finalised, 12 quarantined; 0 need a person\n"
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
    page = session_page(SessionCounts(PIPELINES, STAGES, listed, 1203), PLAIN)
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
    page = session_page(SessionCounts(PIPELINES, STAGES, listed, 1), PLAIN)
    assert "| g1 | a\\|b.tif | failed | ocr | it said:  &lt;b>\\| no |\n" in page


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.0, REFRESH_S), (0.2, REFRESH_S), (2.0, 38.0)])
def test_what_is_shown_takes_a_twentieth_of_the_time_at_most(took_s: float, pause_s: float) -> None:
    assert pause_after(took_s) == pytest.approx(pause_s)
