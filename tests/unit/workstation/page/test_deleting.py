"""The question before raw files are deleted."""

import threading
import time
from pathlib import Path

import pytest

from workstation.ingest.removal import Deletion
from workstation.page.deleting import RawsQuestion
from workstation.watching import IngestStopped

NAMED = frozenset({"a.tif", "a.json", "a.raf"})


def deletion(*names: str) -> Deletion:
    sent = tuple(Path(name) for name in names if not name.endswith(".raf"))
    raws = tuple(Path(name) for name in names if name.endswith(".raf"))
    return Deletion(sent, raws, raws_uploaded=False)


def wait_until_open(question: RawsQuestion) -> None:
    deadline = time.monotonic() + 30
    while not question.is_open:
        assert time.monotonic() < deadline, "it never asks"
        time.sleep(0.005)


class Asking:
    """A run that asks, in a thread."""

    def __init__(self, question: RawsQuestion, asked: Deletion) -> None:
        self.said: object = None
        self._asked, self._question = asked, question
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        try:
            self.said = self._question.agree(self._asked)
        except IngestStopped as error:
            self.said = error

    def answer(self) -> object:
        self.thread.join(30)
        assert not self.thread.is_alive(), "it still waits"
        return self.said


def test_what_was_named_and_agreed_to_is_deleted_without_asking_again() -> None:
    question = RawsQuestion("delete", NAMED)
    assert question.agree(deletion("a.tif", "a.raf")) is True
    assert not question.is_open


def test_what_was_not_named_beforehand_is_asked_for() -> None:
    question = RawsQuestion("delete", NAMED)
    asking = Asking(question, deletion("a.tif", "b.raf"))
    wait_until_open(question)
    assert question.asked is not None and question.asked.raws == (Path("b.raf"),)
    question.answer(agreed=False)
    assert asking.answer() is False


def test_an_answer_before_the_question_is_none_and_only_the_first_one_counts() -> None:
    question = RawsQuestion("ask", NAMED)
    question.answer(agreed=True)
    asking = Asking(question, deletion("a.tif", "a.raf"))
    wait_until_open(question)
    question.answer(agreed=False)
    question.answer(agreed=True)
    assert asking.answer() is False


def test_whoever_keeps_everything_is_not_asked() -> None:
    assert RawsQuestion("keep", NAMED).agree(deletion("a.raf")) is False


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_run_that_is_stopped_waits_for_no_answer_and_has_none(when: str) -> None:
    question = RawsQuestion("ask", NAMED)
    if when == "before":
        question.stop()
    asking = Asking(question, deletion("a.raf"))
    if when == "while":
        wait_until_open(question)
        question.stop()
    assert isinstance(asking.answer(), IngestStopped)
