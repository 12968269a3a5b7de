"""The outbox: each problem is kept, sent in order, counted, and given up only when refused."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.problems import MAX_TIMES, WorkstationProblem
from tests.support.problems import NOON, problem
from workstation.server import outbox as module
from workstation.server.outbox import (
    MAX_FILES,
    CannotSendNow,
    Outbox,
    OutboxResult,
    ProblemRejected,
)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "Udbakke æøå")


def nth(n: int) -> WorkstationProblem:
    """Problems of their own, each a minute after the one before."""
    return problem(fingerprint=f"{n:064x}"[::-1], occurred_at=NOON + timedelta(minutes=n))


class Server:
    """Takes problems, and does with each what it is told to."""

    def __init__(self) -> None:
        self.taken: list[WorkstationProblem] = []
        self.before: Callable[[WorkstationProblem], None] = lambda _: None

    def post(self, sent: WorkstationProblem) -> None:
        self.before(sent)
        self.taken.append(sent)


def test_what_was_put_is_sent_the_oldest_first_and_then_gone(outbox: Outbox) -> None:
    server = Server()
    for n in (2, 0, 1):
        outbox.put(nth(n))
    assert outbox.send(server.post) == OutboxResult(sent=3, rejected=0, waiting=0)
    assert server.taken == [nth(0), nth(1), nth(2)]
    assert list(outbox.folder.iterdir()) == []


def test_a_name_says_when_and_what_and_is_one_that_windows_takes(outbox: Outbox) -> None:
    assert outbox.put(problem()).name == "20261130T120000.000000Z-aaaaaaaaaaaa.json"


def test_an_outbox_in_which_nothing_was_put_sends_nothing(outbox: Outbox) -> None:
    assert outbox.send(Server().post) == OutboxResult(0, 0, 0)
    assert not outbox.folder.exists()


def test_the_same_within_an_hour_is_one_file_that_counts(outbox: Outbox) -> None:
    for minutes in (0, 1, 59, 60, 61):
        outbox.put(problem(occurred_at=NOON + timedelta(minutes=minutes)))
    outbox.put(problem(workstation="WORKHERB0002"))
    server = Server()
    outbox.send(server.post)
    counted = [(each.workstation, each.times) for each in server.taken]
    assert sorted(counted) == [("WORKHERB0001", 2), ("WORKHERB0001", 3), ("WORKHERB0002", 1)]


def test_a_count_ends_where_no_message_could_hold_more(outbox: Outbox) -> None:
    outbox.put(problem(times=MAX_TIMES))
    outbox.put(problem())
    server = Server()
    outbox.send(server.post)
    assert [each.times for each in server.taken] == [MAX_TIMES]


def test_it_stops_at_the_first_that_cannot_be_sent_now_and_goes_on_there(outbox: Outbox) -> None:
    def away(sent: WorkstationProblem) -> None:
        if sent == nth(1):
            raise CannotSendNow("the server does not answer")

    server = Server()
    server.before = away
    for n in range(3):
        outbox.put(nth(n))
    expected = OutboxResult(1, 0, 2, why_waiting="the server does not answer")
    assert outbox.send(server.post) == expected
    server.before = lambda _: None
    assert outbox.send(server.post).waiting == 0
    assert server.taken == [nth(0), nth(1), nth(2)]


def test_what_is_refused_for_good_is_put_aside_and_holds_nothing_up(outbox: Outbox) -> None:
    def refuse(sent: WorkstationProblem) -> None:
        if sent == nth(0):
            raise ProblemRejected("bad_request")

    server = Server()
    server.before = refuse
    aside = outbox.put(nth(0))
    outbox.put(nth(1))
    assert outbox.send(server.post) == OutboxResult(sent=1, rejected=1, waiting=0)
    kept = outbox.folder / "rejected" / aside.name
    assert WorkstationProblem.model_validate_json(kept.read_bytes()) == nth(0)


def test_an_error_nobody_foresaw_comes_out_and_the_problem_waits(outbox: Outbox) -> None:
    def fail(_: WorkstationProblem) -> None:
        raise RuntimeError("a mistake of ours")

    outbox.put(problem())
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        outbox.send(fail)
    assert len(outbox.waiting()) == 1


def test_what_came_again_while_it_was_sent_is_sent_again_with_its_count(outbox: Outbox) -> None:
    outbox.put(problem())
    server = Server()
    server.before = lambda _: outbox.put(problem()) and None
    outbox.send(server.post)
    server.before = lambda _: None
    outbox.send(server.post)
    assert [each.times for each in server.taken] == [1, 2] and not outbox.waiting()
    assert {each.occurred_at for each in server.taken} == {NOON}


def test_of_too_many_the_oldest_is_dropped_with_a_note(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(MAX_FILES + 2):
        outbox.put(nth(n))
    assert len(outbox.waiting()) == MAX_FILES
    server = Server()
    outbox.send(server.post)
    assert server.taken[0] == nth(2)
    assert caplog.text.count("is dropped") == 2 and "20261130T120000" in caplog.text


def test_those_that_were_refused_are_bounded_too(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: WorkstationProblem) -> None:
        raise ProblemRejected

    monkeypatch.setattr(module, "MAX_FILES", 3)
    for n in range(5):
        outbox.put(nth(n))
        outbox.send(refuse)
    kept = sorted((outbox.folder / "rejected").iterdir())
    assert len(kept) == 3 and "T1202" in kept[0].name


@pytest.mark.parametrize("content", [b"", b'{"step": "upl', b"\xff\xfe", b"[]"])
def test_a_file_that_holds_no_problem_is_put_aside_and_holds_nothing_up(
    outbox: Outbox, content: bytes
) -> None:
    outbox.put(nth(1))
    (outbox.folder / "20260101T000000.000000Z-aaaaaaaaaaaa.json").write_bytes(content)
    server = Server()
    assert outbox.send(server.post) == OutboxResult(sent=1, rejected=1, waiting=0)
    assert server.taken == [nth(1)]


def left_over(outbox: Outbox, content: bytes, *, age_s: float = 3_600) -> Path:
    """What a process that was killed between writing and naming leaves."""
    path = outbox.put(nth(0))
    path.unlink()
    part = path.with_name(f"{path.name}.4711-0.part")
    part.write_bytes(content)
    then = time.time() - age_s
    os.utime(part, (then, then))
    return part


def test_what_a_killed_process_had_written_and_not_named_is_sent(outbox: Outbox) -> None:
    left_over(outbox, nth(0).model_dump_json().encode())
    server = Server()
    outbox.send(server.post)
    assert server.taken == [nth(0)] and list(outbox.folder.iterdir()) == []


def test_what_a_killed_process_had_not_written_to_its_end_is_removed(outbox: Outbox) -> None:
    left_over(outbox, nth(0).model_dump_json().encode()[:-9])
    server = Server()
    outbox.put(nth(1))
    outbox.send(server.post)
    assert server.taken == [nth(1)] and list(outbox.folder.iterdir()) == []


def test_what_another_process_is_writing_is_left_to_it(outbox: Outbox) -> None:
    part = left_over(outbox, b"{", age_s=0)
    outbox.put(nth(1))
    outbox.send(Server().post)
    assert list(outbox.folder.iterdir()) == [part]


def test_a_count_whose_writing_was_cut_off_leaves_what_was_there(outbox: Outbox) -> None:
    part = left_over(outbox, nth(0).model_copy(update={"times": 2}).model_dump_json().encode())
    outbox.put(nth(0))
    assert not part.exists()
    server = Server()
    outbox.send(server.post)
    assert [each.fingerprint for each in server.taken] == [nth(0).fingerprint]


def test_a_disk_that_is_full_is_said_and_what_waited_still_waits(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    outbox.put(problem())
    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        outbox.put(problem())
    (path,) = outbox.folder.iterdir()
    assert WorkstationProblem.model_validate_json(path.read_bytes()) == problem()
