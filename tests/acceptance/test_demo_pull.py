"""`make demo SITE=pull`: the sample session by an agent that submits to a real Slurm by `qsub`."""

import re

import pytest

from demo.lab.pull import MISSING, SITE, installed
from refinery import state
from refinery.processes import marked
from tests.support.needed import need
from tests.support.shown_demo import ShownDemo, show_demo
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def shown(stack: Stack) -> ShownDemo:
    need(installed(), MISSING)
    return show_demo(stack, SITE)


def test_every_specimen_ends_as_it_should_and_the_archive_holds_it(shown: ShownDemo) -> None:
    assert shown.done.returncode == 0, shown.words
    assert shown.archived() == [True] * 6


def test_each_attempt_was_one_job_of_the_scheduler(shown: ShownDemo) -> None:
    attempts = shown.attempts
    assert {(each["site"], each["outcome"]) for each in attempts} == {(SITE, "done")}
    assert len({each["job_id"] for each in attempts}) == len(attempts) > 40
    found = re.match(r"(\d+) jobs", shown.printed("by Slurm's own records: "))
    assert found and int(found[1]) == len(attempts)


def test_all_of_it_is_gone_and_the_other_sites_are_open_again(shown: ShownDemo) -> None:
    assert shown.printed("agent submitter holds nothing any more, ") == "and left"
    sites = {r["name"]: r["open"] for r in shown.stack.rows("SELECT name, open FROM track.site")}
    assert (sites["local"], sites[SITE]) == (True, False)
    ours = marked(state.mark(shown.stack.settings))
    assert not {"munged", "slurmctld", "slurmd", "sshd"} & {each.name() for each in ours}
    assert not [each for each in ours if any("agent-" in word for word in each.cmdline())]
