"""`make demo` at one site on a running system: all that it printed, and what our records say."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.run import MAX_SECONDS
from tests.support.stack import Stack

ATTEMPTS = """
    SELECT t.site, t.outcome, t.external_id, t.started_by, t.job_id, t.n, t.agent_id, a.guid,
           st.key AS stage, st.run
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage st ON st.id = j.stage_id
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
class ShownDemo:
    """The demonstration after its end."""

    stack: Stack
    done: subprocess.CompletedProcess[str]

    @property
    def lines(self) -> list[str]:
        """What it printed."""
        return self.done.stdout.splitlines()

    @property
    def words(self) -> str:
        """The end of all that it printed, for a test that fails."""
        return self.done.stdout[-3000:] + self.done.stderr[-3000:]

    def printed(self, beginning: str) -> str:
        """The rest of the one line that begins so."""
        (found,) = [line for line in self.lines if line.startswith(beginning)]
        return found.removeprefix(beginning)

    @property
    def path(self) -> Path:
        """The session's folder as it was dropped."""
        return Path(self.printed("session dropped: "))

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt of the session."""
        return self.stack.rows(ATTEMPTS, path=str(self.path))

    def archived(self) -> list[bool]:
        """Of each finalised specimen, whether the archive holds its original byte for byte."""
        closed = self.path.with_name(f"imported_{self.path.name}")
        found = []
        for row in self.stack.rows(SPECIMENS, path=str(self.path)):
            if row["finalised"]:
                folder = self.stack.erda / row["institution"] / row["collection"] / row["guid"]
                (file,) = folder.iterdir()
                found.append(file.read_bytes() == (closed / file.name).read_bytes())
        return found


def show_demo(stack: Stack, site: str) -> ShownDemo:
    """Run the demonstration at a site to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "refinery.cli", "demo", "--once", "--site", site],
        cwd=stack.folder,
        env=os.environ | stack.environment | {"COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    return ShownDemo(stack, done)
