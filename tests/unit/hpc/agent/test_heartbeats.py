"""The heartbeat beats on its own clock, and its end is heard of."""

from collections.abc import Iterator
from typing import Any

import pytest

from hpc.agent.background import BackgroundCalls
from hpc.agent.heartbeats import Heartbeats
from hpc.agent.server import ServerLink, ShutOut
from tests.support.agent_server import AgentServer
from tests.support.agent_site import until

TOLD: dict[str, Any] = {"attempts": [{"attempt": 1, "fence": 1}], "batches": []}


@pytest.fixture
def heartbeats(link: ServerLink) -> Iterator[Heartbeats]:
    made = Heartbeats(link, lambda: TOLD, lambda: None)
    yield made
    made.close()


def test_each_answer_is_told_once(heartbeats: Heartbeats, server: AgentServer) -> None:
    assert heartbeats.take_news() is None
    assert heartbeats.beat() == 0.2
    news = heartbeats.take_news()
    assert news is not None
    assert news["attempts"] == {"1": "ok"}
    assert heartbeats.take_news() is None


def test_trouble_is_named_until_it_has_passed(heartbeats: Heartbeats, server: AgentServer) -> None:
    server.ill["heartbeat"] = [503, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
    heartbeats.beat()
    assert heartbeats.trouble.startswith("503")
    heartbeats.beat()
    assert "not our server's" in heartbeats.trouble
    heartbeats.beat()
    assert heartbeats.trouble == ""


def test_one_that_is_shut_out_beats_no_more(heartbeats: Heartbeats, server: AgentServer) -> None:
    server.tokens.clear()
    heartbeats.start()

    def is_over() -> bool:
        try:
            heartbeats.take_news()
        except ShutOut:
            return True
        return False

    until(is_over)


def test_an_end_that_nobody_foresaw_is_raised_by_the_next_turn(link: ServerLink) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("nobody foresaw it")

    heartbeats = Heartbeats(link, broken, lambda: None)
    heartbeats.start()

    def is_heard() -> bool:
        try:
            heartbeats.take_news()
        except RuntimeError:
            return True
        return False

    until(is_heard)


def test_a_call_beside_the_turns_gives_its_value_or_its_error_once() -> None:
    calls = BackgroundCalls(lambda: None)
    assert calls.begin("a 1", lambda: 7)
    assert calls.begin("b 1", lambda: 1 // 0)
    until(lambda: calls.has("a 1") and not calls.begin("a 1", lambda: 8))
    found: list[Any] = []
    until(lambda: found.extend(calls.finished("b")) or found)
    assert isinstance(found[0].error, ZeroDivisionError)
    until(lambda: found.extend(calls.finished("")) or len(found) == 2)
    assert (found[1].name, found[1].value) == ("a 1", 7)
    assert calls.finished("") == []
