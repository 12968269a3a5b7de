"""The ARS stand-in on a real port, served from a thread, with its hidden controls."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.ars import ArsArchive
from blocks.ars_client import ArsAddress
from demo.ars.app import create_app
from demo.ars.config import ProfileName, StandInConfig
from refinery.local.postgres import EmbeddedPostgres
from tests.support.serving import free_port, served

SECRET = "the secret of a test"


class Archive:
    """A running stand-in: where it is, and what a test may do to it behind its back."""

    def __init__(self, base_url: str, profile: ProfileName) -> None:
        self.base_url = base_url
        self.address = ArsAddress(
            base_url=base_url,
            client_id="specimen-refinery",
            client_secret=SECRET,
            update_user="specimen-refinery",
            users=("specimen-refinery",),
            profile="v2_6" if profile == "v2_6" else "current",
        )

    def block(self) -> ArsArchive:
        """The block by which flows find it."""
        return ArsArchive(
            base_url=self.address.base_url,
            client_id=self.address.client_id,
            client_secret=SecretStr(SECRET),
            users=list(self.address.users),
        )

    def fault(self, action: str, **rule: Any) -> None:
        """Break something, once unless `count` says otherwise (None: for good)."""
        match = {k: rule.pop(k) for k in ("method", "path_regex", "guid") if k in rule}
        self._sim("POST", "faults", {"action": action, "match": match, **rule})

    def heal(self) -> None:
        self._sim("DELETE", "faults")

    def tick(self) -> None:
        """Run the ERDA job once and wait for its end."""
        self._sim("POST", "tick", {})

    def advance(self, seconds: float) -> None:
        self._sim("POST", "clock", {"seconds": seconds})

    def revoke_tokens(self) -> None:
        self._sim("POST", "tokens/revoke", {})

    def disk(self, disk_mb: int) -> None:
        self._sim("POST", "disk", {"disk_mb": disk_mb})

    def requests(self, guid: str, method: str, path_regex: str = "") -> list[dict[str, Any]]:
        """The requests about an asset, oldest first."""
        asked = {"guid": guid, "method": method, "path_regex": path_regex}
        with httpx.Client(timeout=60) as http:
            return list(http.get(f"{self.base_url}/__sim/requests", params=asked).json())

    def _sim(self, method: str, path: str, body: Any = None) -> None:
        with httpx.Client(timeout=60) as http:
            http.request(method, f"{self.base_url}/__sim/{path}", json=body).raise_for_status()


@contextmanager
def served_archive(
    database_url: str,
    folder: Path,
    profile: ProfileName = "v2_11",
    tick_seconds: float = 0.1,
    **more: Any,
) -> Iterator[Archive]:
    """Serve a stand-in until the block ends. Its first day begins with an empty database."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    config = StandInConfig(
        database_url=database_url,
        share_dir=folder / "shares",
        erda_dir=folder / "erda",
        base_url=base_url,
        client_secret=SECRET,
        tick_seconds=tick_seconds,
        gap_ms=20,
        profile=profile,
        control=True,
        **more,
    )
    with served(create_app(config), port, lifespan="on"):
        yield Archive(base_url, profile)


@contextmanager
def archive_in(postgres: EmbeddedPostgres, folder: Path) -> Iterator[Archive]:
    """A stand-in with a database of its own in the tests' cluster."""
    name = f"ars_{uuid.uuid4().hex[:12]}"
    postgres.ensure_database(name)
    with served_archive(postgres.url(name), folder) as served:
        yield served
