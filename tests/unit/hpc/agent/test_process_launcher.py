"""Batches as children: each member is run once, whatever becomes of those beside it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.agent import process_launcher
from hpc.agent.held import HeldBatch
from hpc.agent.process_launcher import ProcessLauncher
from hpc.agent.processes import is_alive, send_signal
from hpc.agent.spool import has_begun, has_result
from tests.support.agent_site import AgentSite, until

MADE: list[ProcessLauncher] = []


@pytest.fixture(autouse=True)
def no_child_is_left(site: AgentSite) -> Iterator[None]:
    yield
    for folder in site.folders.batches.iterdir():
        send_signal(folder, None, signal.SIGKILL)
    for made in MADE:
        for child in made.children.values():
            child.wait(timeout=20)
    MADE.clear()


def launcher(site: AgentSite) -> ProcessLauncher:
    MADE.append(ProcessLauncher(site.config, site.folders, site.journal))
    return MADE[-1]


def go_on(site: AgentSite, by: ProcessLauncher) -> None:
    """Look, and start what waits, until no batch is at work."""

    def is_over() -> bool:
        batches = list(site.journal.held.batches.values())
        by.look(batches)
        for batch in batches:
            if batch.state == "claimed":
                by.launch(batch)
        return all(batch.state == "over" for batch in batches)

    until(is_over)


def ends(batch: HeldBatch) -> dict[int, object]:
    return {each.attempt: each.end and each.end["state"] for each in batch.members}


def folder(site: AgentSite) -> Path:
    return site.folders.of("b1")


def test_each_member_is_run_once(site: AgentSite) -> None:
    batch = site.claim("b1", ["good-1", "good-2"])
    go_on(site, launcher(site))
    assert site.work() == [1, 2]
    assert all(has_result(folder(site), attempt) for attempt in (1, 2))
    assert ends(batch) == {1: None, 2: None}


def test_one_that_ends_without_a_word_takes_its_exit_code_and_no_round_more(
    site: AgentSite,
) -> None:
    batch = site.claim("b1", ["good-1", "fails-2", "good-3"])
    go_on(site, launcher(site))
    assert ends(batch) == {1: None, 2: "failed", 3: "failed"}
    assert [each.end and each.end["exit_code"] for each in batch.members] == [None, 3, 3]
    assert site.work() == [1, 2]


def test_a_member_out_of_time_is_stopped_and_those_after_it_go_on(site: AgentSite) -> None:
    batch = site.claim("b1", ["slow-1", "good-2"], resources={"time": "00:00:01"})
    go_on(site, launcher(site))
    assert ends(batch) == {1: "timeout", 2: None}
    assert site.work() == [1, 2]
    assert has_result(folder(site), 2)


def test_one_that_heeds_no_signal_is_killed(
    site: AgentSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_launcher, "GRACE_S", 0.2)
    batch = site.claim("b1", ["deaf-1", "good-2"])
    by = launcher(site)
    by.launch(batch)
    until(lambda: site.work() == [1])
    site.journal.append("stop", attempt=1, why="cancelled")
    go_on(site, by)
    assert ends(batch) == {1: "cancelled", 2: None}


def test_one_that_is_cancelled_before_it_begins_never_does(site: AgentSite) -> None:
    batch = site.claim("b1", ["slow-1", "good-2", "good-3"])
    by = launcher(site)
    by.launch(batch)
    until(lambda: site.work() == [1])
    site.journal.append("stop", attempt=2, why="cancelled")
    by.look([batch])
    (site.folders.root / "go-on").touch()
    go_on(site, by)
    assert site.work() == [1, 3]
    assert ends(batch) == {1: None, 2: "cancelled", 3: None}


def test_a_batch_that_is_cancelled_before_it_is_started_starts_nothing(site: AgentSite) -> None:
    batch = site.claim("b1", ["good-1"])
    site.journal.append("stop", attempt=1, why="cancelled")
    launcher(site).look([batch])
    assert (batch.state, site.work(), ends(batch)) == ("over", [], {1: "cancelled"})


def test_one_that_is_another_agents_by_now_is_stopped_without_a_word(site: AgentSite) -> None:
    batch = site.claim("b1", ["slow-1", "good-2"])
    by = launcher(site)
    by.launch(batch)
    until(lambda: site.work() == [1])
    site.journal.append("lost", attempt=1)
    go_on(site, by)
    assert site.work() == [1, 2]
    assert [each.attempt for each in batch.open] == [2]


def test_the_next_agent_finds_it_at_work_and_waits_for_its_end(site: AgentSite) -> None:
    launcher(site).launch(site.claim("b1", ["slow-1", "good-2"]))
    until(lambda: site.work() == [1])
    again = site.reopened()
    by = launcher(again)
    by.look(list(again.journal.held.batches.values()))
    assert again.journal.held.batches["b1"].state == "running"
    (site.folders.root / "go-on").touch()
    go_on(again, by)
    assert site.work() == [1, 2]


def test_one_killed_between_its_intent_and_the_start_starts_it(site: AgentSite) -> None:
    site.claim("b1", ["good-1"])
    site.journal.append("launching", key="b1", lines=[0], at=1.0)
    again = site.reopened()
    go_on(again, launcher(again))
    assert site.work() == [1]


def test_one_killed_between_the_start_and_its_note_starts_nothing_more(site: AgentSite) -> None:
    batch = site.claim("b1", ["slow-1"])
    launcher(site).launch(batch)
    text = site.journal.path.read_text().splitlines(keepends=True)
    assert '"launched"' in text[-1]
    site.journal.path.write_text("".join(text[:-1]))
    again = site.reopened()
    assert again.journal.held.batches["b1"].state == "launching"
    (site.folders.root / "go-on").touch()
    go_on(again, launcher(again))
    assert site.work() == [1]
    assert has_result(folder(site), 1)


def test_after_the_machine_went_down_only_what_had_begun_is_over(site: AgentSite) -> None:
    launcher(site).launch(site.claim("b1", ["slow-1", "good-2"]))
    until(lambda: has_begun(folder(site), 1))
    send_signal(folder(site), None, signal.SIGKILL)
    until(lambda: not is_alive(folder(site)))
    again = site.reopened()
    go_on(again, launcher(again))
    assert ends(again.journal.held.batches["b1"]) == {1: "unknown", 2: None}
    assert site.work() == [1, 2]
