"""`make demo SITE=slurm`: the sample session on a real Slurm behind a real sshd."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.lab.slurm import SITE
from demo.lab.slurm_lab import MISSING, installed
from demo.run import MAX_SECONDS
from refinery import state
from refinery.processes import marked
from tests.support.stack import Stack

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not installed(), reason=MISSING),
]
ATTEMPTS = """
    SELECT t.site, t.outcome, t.external_id, t.started_by FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session s ON s.id = a.session_id WHERE s.opened_as = %(path)s
"""
SPECIMENS = """
    SELECT a.guid, a.finalised_at IS NOT NULL AS finalised,
           d.body ->> 'institution' AS institution, d.body ->> 'collection' AS collection
    FROM track.asset a JOIN track.session s ON s.id = a.session_id
    JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE s.opened_as = %(path)s AND a.parent_guid IS NULL
"""


@dataclass
class Shown:
    """The demonstration after its end, and all it printed."""

    stack: Stack
    done: subprocess.CompletedProcess[str]

    def printed(self, beginning: str) -> str:
        """The rest of the one line that begins so."""
        lines = self.done.stdout.splitlines()
        (found,) = [line for line in lines if line.startswith(beginning)]
        return found.removeprefix(beginning)

    @property
    def path(self) -> Path:
        return Path(self.printed("session dropped: "))

    @property
    def attempts(self) -> list[dict[str, Any]]:
        return self.stack.rows(ATTEMPTS, path=str(self.path))


@pytest.fixture(scope="module")
def shown(stack: Stack) -> Shown:
    command = [sys.executable, "-m", "refinery.cli", "demo", "--once", "--site", SITE]
    environment = os.environ | stack.environment | {"COLUMNS": "300"}
    done = subprocess.run(
        command,
        cwd=stack.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    return Shown(stack, done)


def test_every_specimen_ends_as_it_should_and_slurm_ran_one_job_per_attempt(shown: Shown) -> None:
    assert shown.done.returncode == 0, shown.done.stdout[-3000:] + shown.done.stderr[-3000:]
    found = re.match(r"(\d+) jobs", shown.printed("by Slurm's own records: "))
    assert found and int(found[1]) >= len(shown.attempts) > 40


def test_all_of_its_modules_ran_at_slurm_each_as_its_own_native_job(shown: Shown) -> None:
    attempts = shown.attempts
    assert {(each["site"], each["outcome"]) for each in attempts} == {(SITE, "done")}
    natives = [each["started_by"] for each in attempts]
    assert natives == [each["external_id"] for each in attempts]
    assert len(set(natives)) == len(natives)


def test_the_archive_holds_each_original_byte_for_byte(shown: Shown) -> None:
    closed = shown.path.with_name(f"imported_{shown.path.name}")
    good = [r for r in shown.stack.rows(SPECIMENS, path=str(shown.path)) if r["finalised"]]
    assert len(good) == 6
    for row in good:
        folder = shown.stack.erda / row["institution"] / row["collection"] / row["guid"]
        archived = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert len(archived) == 1
        assert archived == {name: (closed / name).read_bytes() for name in archived}


def test_everything_it_started_is_gone_and_the_other_sites_are_open_again(shown: Shown) -> None:
    sites = {r["name"]: r["open"] for r in shown.stack.rows("SELECT name, open FROM track.site")}
    assert sites == {"local": True, SITE: False}
    documents = shown.stack.prefect.all("block_documents")
    assert SITE not in {each["name"] for each in documents}
    ours = marked(state.mark(shown.stack.settings))
    assert not {"munged", "slurmctld", "slurmd", "sshd"} & {each.name() for each in ours}
