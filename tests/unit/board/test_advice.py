"""What is advised is said at more length where the advice says so."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from board.advice import ADVICE, BY_NEED, Advice, advice_for, offers_for, offers_of
from track.reports.attention import Cause, Needing, NeedKind

ROOT = Path(__file__).parents[3]
ALL = [advice for _, advice in ADVICE] + list(BY_NEED.values())


@pytest.mark.parametrize("advice", ALL, ids=lambda advice: advice.text[:40])
def test_its_section_is_there(advice: Advice) -> None:
    lines = (ROOT / advice.file).read_text(encoding="utf-8").splitlines()
    assert any(line.lstrip("#") == f" {advice.section}" for line in lines if line.startswith("#"))


def cause(need: NeedKind = NeedKind.FAILED, text: str = "broken", number: int = 2) -> Cause:
    session, now = uuid4(), datetime.now(UTC)
    members = [
        Needing(f"g {n}", f"g {n}", session, "folder", "P", "ocr", need, text, now)
        for n in range(number)
    ]
    return Cause(need, "P", "ocr", text, "", members)


def test_the_words_of_a_cause_decide_and_else_its_kind() -> None:
    assert "resources" in advice_for(cause(text="its memory ran out (job …)")).text
    assert advice_for(cause(NeedKind.HELD, "look at the label")) is BY_NEED[NeedKind.HELD]
    assert set(BY_NEED) == set(NeedKind)


def test_a_group_is_done_again_by_stage_and_pipeline_and_says_what_that_takes_along() -> None:
    again, _session, switch = offers_for(cause(), others=7)
    assert again.address == "/act/resubmit?pipeline=P&stage=ocr" and "also 7 of other" in again.note
    assert switch.address == "/act/switch?pipeline=P&stage=ocr&on=off"
    assert [each.note for each in offers_for(cause(), others=0)] == ["", ""]


@pytest.mark.parametrize("need", [each for each in NeedKind if each is not NeedKind.FAILED])
def test_what_no_verb_does_for_a_group_is_not_offered_for_it(need: NeedKind) -> None:
    assert offers_for(cause(need), others=0) == ()


@pytest.mark.parametrize("need", list(NeedKind))
def test_each_specimen_has_a_verb_with_its_guid_quoted(need: NeedKind) -> None:
    (one, *_) = cause(need).members
    assert all("guid=g+0" in each.address for each in offers_of(one)) and offers_of(one)
