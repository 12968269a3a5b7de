"""An issue's Markdown shows what was reported and obeys none of it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from blocks.issue_text import (
    MAX_REPORTS,
    IssueMemory,
    body_of,
    comment_of,
    marker,
    plain,
    title_of,
    updated,
)
from tests.support.problems import NOON, problem

READER = MarkdownIt("commonmark").enable("table")
EVIL = "@anna #12 [x](http://e.dk/1) <img src=x> **b** | c\n```\n</details> <!-- problem x -->\n"
ANY = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)


def tokens(text: str) -> list[Token]:
    """What a reader of Markdown makes of a text, the parts of its lines too."""
    return [each for token in READER.parse(text) for each in (token, *(token.children or ()))]


def kinds(text: str) -> set[str]:
    return {token.type for token in tokens(text)}


@given(ANY, ANY, ANY)
@example(EVIL, EVIL, EVIL)
@example("```", "~~~\n````\n", "`")
def test_whatever_is_reported_is_shown_and_nothing_of_it_is_obeyed(
    summary: str, details: str, system: str
) -> None:
    given_ = problem(summary=f"x{summary[:100]}x", details=details, system=f"x{system}x")
    memory = IssueMemory.new(given_)
    for text in (body_of(given_, memory), comment_of(given_, memory, NOON.date())):
        found = tokens(text)
        fences = [token for token in found if token.type == "fence"]
        assert len(fences) == 1 and fences[0].info == "text"
        comments = [token.content for token in found if token.type == "html_block"]
        assert all(line.startswith("<!-- ") for line in "".join(comments).splitlines())
        obeyed = {"link_open", "image", "html_inline", "code_inline", "strong_open", "em_open"}
        assert not kinds(text) & obeyed
        outside = text.replace(fences[0].content, "")
        assert not re.search(r"@\w|#\d|://\w", outside)


def test_details_are_shown_letter_by_letter() -> None:
    details = "Traceback\n```` @anna ```\n  | a |\n"
    (fence,) = (t for t in tokens(body_of(*new(details=details))) if t.type == "fence")
    assert fence.content.rstrip("\n") == details.rstrip("\n")


def new(**facts: object) -> tuple:  # type: ignore[type-arg]
    made = problem(**facts)
    return made, IssueMemory.new(made)


def test_details_that_hold_the_marker_of_another_problem_are_no_issue_of_that() -> None:
    body = body_of(*new(details=marker("b" * 64), summary=marker("b" * 64)))
    assert marker("a" * 64) in body and marker("b" * 64) not in body
    assert IssueMemory.read(body, problem()).times == 1


def test_what_the_workstation_forgot_to_leave_out_is_left_out_here() -> None:
    text = "mail anna@ku.dk token=abcdef C:\\Users\\anna\\x"
    made, memory = new(summary=text, details=text)
    for shown in (title_of(made), body_of(made, memory), comment_of(made, memory, NOON.date())):
        assert "anna" not in shown and "abcdef" not in shown


def test_a_title_has_the_step_and_the_summary_and_mentions_nobody() -> None:
    assert title_of(problem()) == "upload: The server could not write æble.tif."
    assert "@anna" not in title_of(problem(summary="ask @anna"))
    assert len(title_of(problem(summary="#" * 200))) <= 250


@pytest.mark.parametrize("text", ["a_b*c.tif", "C:\\data\\x", "1. <b>", "æ|ø `x`"])
def test_plain_text_is_read_as_it_was_written(text: str) -> None:
    shown = "".join(t.content for t in tokens(f"see {plain(text)}") if t.type == "text")
    assert shown == f"see {text}"


def test_a_report_is_counted_once_and_only_the_last_are_remembered() -> None:
    memory = IssueMemory.new(problem(times=3))
    assert not memory.count(problem(times=3)) and not memory.count(problem(times=1))
    assert memory.count(problem(times=4)) and memory.times == 4
    for n in range(2 * MAX_REPORTS):
        memory.count(problem(workstation=f"W{n}"))
    assert len(memory.reports) == MAX_REPORTS and memory.times == 4 + 2 * MAX_REPORTS


def test_the_fullest_issue_is_one_that_github_takes() -> None:
    made, memory = new(summary="#" * 200, details="<!--" * 2_000, workstation="Æ" * 40)
    for n in range(200):
        memory.count(problem(workstation=f"{'Å' * 36}{n:04d}", fingerprint="b" * 64))
    assert len(body_of(made, memory)) < 65_536


def test_a_new_count_changes_its_own_lines_only() -> None:
    made, memory = new(details="| times | 9 |")
    body = body_of(made, memory)
    memory.count(problem(workstation="OTHER"))
    changed = updated(body, made, memory)
    lines = zip(body.split("\n"), changed.split("\n"), strict=True)
    heads = [old.split(" ")[:2] for old, now in lines if old != now]
    assert heads == [["|", "times"], ["|", "workstations"], ["<!--", "counted"]]
    assert IssueMemory.read(changed, made) == memory
