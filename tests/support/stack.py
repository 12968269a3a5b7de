"""The whole system in a project folder of its own, and what a test asks of it from outside."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import dict_row

from demo.harm import OPEN_SHARES
from refinery import connections, state
from refinery.addresses import Addresses, of_running
from refinery.settings import Settings
from tests.support.clusters import temporary_folder
from tests.support.prefect_api import PrefectApi

ROOT = Path(__file__).parents[2]
START_S = 300.0
ROAD_S = 600.0
POLL_SECONDS = 0.25
NOBODY = "http://127.0.0.1:9"  # a proxy that takes no call: nothing here may ask it


@dataclass
class Stack:
    """A running system: its database, its archive and Prefect, each by its own front door."""

    folder: Path
    environment: dict[str, str]

    @cached_property
    def settings(self) -> Settings:
        return Settings.load(self.folder, self.environment)

    @cached_property
    def addresses(self) -> Addresses:
        return of_running(self.settings)

    @cached_property
    def prefect(self) -> PrefectApi:
        return PrefectApi(self.addresses.prefect_api, self.addresses.prefect_headers)

    @property
    def erda(self) -> Path:
        """Where the archive's stand-in keeps what it was given for good."""
        return self.settings.state / "erda"

    def refinery(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's own commands."""
        return subprocess.run(
            [sys.executable, "-m", "refinery.cli", *words],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a query to our own database; parameters as `%(name)s`."""
        return _rows(self.addresses.database, statement, values)

    def archive_rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a query to the stand-in's own database."""
        return _rows(self.addresses.ars_database, statement, values)

    def session(self, path: Path) -> dict[str, Any] | None:
        """The newest session that was opened as this folder."""
        found = self.rows(
            "SELECT * FROM track.session WHERE opened_as = %(path)s ORDER BY opened_at DESC",
            path=str(path),
        )
        return found[0] if found else None

    def follow(self, path: Path) -> UUID:
        """Wait until the session dropped as `path` is finished; its id."""
        self.until(lambda: bool((self.session(path) or {}).get("finished_at")), str(path))
        found = self.session(path)
        assert found is not None
        return UUID(str(found["id"]))

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Look until it is true; after ROAD_S, fail with where every asset stands."""
        deadline = time.monotonic() + ROAD_S
        while not true():
            assert time.monotonic() < deadline, f"{what} in vain; {self._standing()}"
            time.sleep(POLL_SECONDS)

    def _standing(self) -> list[str]:
        rows = self.rows(
            "SELECT j.asset_guid, s.key, j.state, j.reason FROM track.job j"
            " JOIN track.stage s ON s.id = j.stage_id"
            " WHERE j.state NOT IN ('done', 'excluded', 'waiting') ORDER BY j.id"
        )
        return [" ".join(str(value) for value in row.values()) for row in rows]

    def archived(self, path: str) -> Any:
        """The JSON of a GET at the archive's asset service."""
        return self._archive(f"/ars/api/v1/{path}").json()

    def archived_bytes(self, path: str) -> bytes:
        """What the archive's file proxy serves."""
        return self._archive(f"/file_proxy/api/{path}").content

    def shared(self) -> set[str]:
        """The assets that have an open share at the archive."""
        return {row["asset_guid"] for row in self.archive_rows(OPEN_SHARES)}

    def _archive(self, path: str) -> httpx.Response:
        address = connections.archive(self.settings, self.addresses).address()
        form = {
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
        }
        with httpx.Client(timeout=60) as http:
            token = http.post(address.token_endpoint, data=form).raise_for_status().json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            return http.get(self.addresses.ars + path, headers=headers).raise_for_status()


def _rows(url: str, statement: str, values: dict[str, object]) -> list[dict[str, Any]]:
    address = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address, row_factory=dict_row) as connection:
        return connection.execute(statement.encode(), values).fetchall()


@contextmanager
def running_stack(name: str, **more: str) -> Iterator[Stack]:
    """Our own flows and pipelines in a new project, up and ready; stopped whatever happens.

    `more`: variables of its environment.
    """
    with temporary_folder() as folder:
        lay_out(folder)
        stack = Stack(folder, environment_of(folder, name) | more)
        try:
            started = stack.refinery("up", "--detach")
            assert started.returncode == 0, started.stderr
            assert state.read(stack.settings).ready
            yield stack
        finally:
            stack.refinery("stop")


def lay_out(folder: Path, release: Path = ROOT) -> None:
    """Have a project folder be of a release, as a checkout of it would."""
    shutil.copy(release / "prefect.yaml", folder)
    (folder / "flows").unlink(missing_ok=True)
    (folder / "flows").symlink_to(release / "flows")
    shutil.copytree(release / "deployments", folder / "deployments", dirs_exist_ok=True)


def environment_of(folder: Path, name: str) -> dict[str, str]:
    """The variables of a project of that name, which shares nothing with any other."""
    return {
        "REFINERY_POSTGRES_HOME": str(folder / "pg"),
        "REFINERY_PROJECT": name,
        "REFINERY_SETTLE_SECONDS": "2",
        "HTTP_PROXY": NOBODY,
        "HTTPS_PROXY": NOBODY,
    }
