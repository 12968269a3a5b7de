"""`make demo SITE=agents`: the sample session by agents that come, are killed, and leave."""

import os
import re

import pytest

from demo.lab.agents import CAPACITIES, SITE
from refinery import state
from refinery.processes import marked
from tests.support.shown_demo import ShownDemo, show_demo
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)
AGENTS = 'SELECT id, name, gone_at IS NOT NULL AS gone, "order" FROM track.agent WHERE site = %(s)s'


@pytest.fixture(scope="module")
def shown(stack: Stack) -> ShownDemo:
    return show_demo(stack, SITE)


def test_every_specimen_ends_as_it_should_and_the_archive_holds_it(shown: ShownDemo) -> None:
    assert shown.done.returncode == 0, shown.words
    assert shown.archived() == [True] * 6


def test_each_job_was_done_once_by_one_of_the_agents(shown: ShownDemo) -> None:
    attempts = shown.attempts
    assert {(each["site"], each["outcome"]) for each in attempts} == {(SITE, "done")}
    assert len({each["job_id"] for each in attempts}) == len(attempts) > 40
    names = {row["id"]: row["name"] for row in shown.stack.rows(AGENTS, s=SITE)}
    for name in CAPACITIES:
        mine = [each for each in attempts if names[each["agent_id"]] == name]
        said = shown.printed(f"agent {name}, with room for {CAPACITIES[name]}, did ")
        assert said == f"{len(mine)} attempts" and mine


def test_a_derivative_is_uploaded_by_the_agent_that_made_it(shown: ShownDemo) -> None:
    attempts = shown.attempts
    made = {each["guid"]: each["agent_id"] for each in attempts if each["run"] == "derive"}
    parents = {
        row["guid"]: row["parent_guid"]
        for row in shown.stack.rows("SELECT guid, parent_guid FROM track.asset")
    }
    uploads = [each for each in attempts if each["run"] == "upload"]
    assert uploads
    assert [each["agent_id"] for each in uploads] == [
        made[parents[each["guid"]]] for each in uploads
    ]


def test_all_of_them_left_as_they_were_told_and_the_other_sites_are_open(shown: ShownDemo) -> None:
    left = [line for line in shown.lines if re.fullmatch(r"agent \w+ .* and left", line)]
    assert len(left) == len(CAPACITIES)
    assert "agent second was killed while it was at work, and started again" in shown.lines
    rows = shown.stack.rows(AGENTS, s=SITE)
    assert {(row["gone"], row["order"]) for row in rows} == {(True, "stop")}
    sites = {r["name"]: r["open"] for r in shown.stack.rows("SELECT name, open FROM track.site")}
    assert (sites["local"], sites[SITE]) == (True, False)
    ours = marked(state.mark(shown.stack.settings))
    assert not [each for each in ours if any("agent-" in word for word in each.cmdline())]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run agents as another user")
def test_they_run_as_a_user_who_can_read_nothing_of_ours(shown: ShownDemo) -> None:
    assert shown.printed("agents run as user ").startswith("nobody ")
