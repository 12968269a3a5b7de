"""`make demo SITE=slurm`: the sample session on a real Slurm behind a real sshd."""

import re

import pytest

from demo.lab.slurm import SITE
from demo.lab.slurm_lab import MISSING, installed
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


def test_every_specimen_ends_as_it_should_and_slurm_ran_one_job_per_attempt(
    shown: ShownDemo,
) -> None:
    assert shown.done.returncode == 0, shown.words
    found = re.match(r"(\d+) jobs", shown.printed("by Slurm's own records: "))
    assert found and int(found[1]) >= len(shown.attempts) > 40


def test_all_of_its_modules_ran_at_slurm_each_as_its_own_native_job(shown: ShownDemo) -> None:
    attempts = shown.attempts
    assert {(each["site"], each["outcome"]) for each in attempts} == {(SITE, "done")}
    natives = [each["started_by"] for each in attempts]
    assert natives == [each["external_id"] for each in attempts]
    assert len(set(natives)) == len(natives)


def test_the_archive_holds_each_original_byte_for_byte(shown: ShownDemo) -> None:
    assert shown.archived() == [True] * 6


def test_everything_it_started_is_gone_and_the_other_sites_are_open_again(shown: ShownDemo) -> None:
    sites = {r["name"]: r["open"] for r in shown.stack.rows("SELECT name, open FROM track.site")}
    assert (sites.pop("local"), set(sites.values())) == (True, {False})
    documents = shown.stack.prefect.all("block_documents")
    assert SITE not in {each["name"] for each in documents}
    ours = marked(state.mark(shown.stack.settings))
    assert not {"munged", "slurmctld", "slurmd", "sshd"} & {each.name() for each in ours}
