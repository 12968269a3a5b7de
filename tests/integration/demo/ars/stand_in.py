"""A stand-in served for real, and a client that speaks to it in whole sentences."""

import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.ars.app import create_app
from demo.ars.config import StandInConfig
from tests.support.serving import free_port, served

SECRET = "not-a-real-secret"
DEADLINE_S = 60.0
TOKEN_KEPT_S = 60.0
CLIENTS = {
    "administrator": ["dassco-admin"],
    "developer": ["dassco-developer"],
    "plain-user": ["dassco-user"],
    "stranger": ["some-other-role"],
    "restricted-writer": ["service-user", "WRITE_secret"],
    "restricted-reader": ["service-user", "READ_secret"],
}


@dataclass
class Archive:
    """The address of a running stand-in, its directories, and one signed-in client per role."""

    config: StandInConfig
    http: httpx.Client

    def __post_init__(self) -> None:
        self._tokens: dict[str, tuple[str, float]] = {}

    def token(self, client_id: str = "specimen-refinery") -> str:
        token, fetched = self._tokens.get(client_id, ("", 0.0))
        if not token or time.monotonic() - fetched > TOKEN_KEPT_S:
            form = {
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": SECRET,
                "scope": "openid",
            }
            path = "/keycloak/realms/dassco/protocol/openid-connect/token"
            token = self.http.post(path, data=form).json()["access_token"]
            self._tokens[client_id] = token, time.monotonic()
        return token

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def call(
        self, method: str, path: str, *, by: str | None = "specimen-refinery", **more: Any
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        if by is not None:
            headers = headers | {"Authorization": f"Bearer {self.token(by)}"}
        return self.http.request(method, path, headers=headers, **more)

    def ars(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.call(method, f"/ars/api/v1{path}", **more)

    def proxy(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.call(method, f"/file_proxy/api{path}", **more)

    def sim(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.http.request(method, f"/__sim{path}", **more)
        assert answer.is_success, answer.text
        return answer

    def fault(self, action: str, *, match: dict[str, Any] | None = None, **rule: Any) -> None:
        self.sim("POST", "/faults", json={"action": action, "match": match or {}, **rule})

    def tick(self) -> dict[str, int]:
        return dict(self.sim("POST", "/tick").json())

    def create(self, *, mb: int = 10, **fields: Any) -> str:
        body = asset(**fields)
        answer = self.ars("POST", f"/assetmetadata?allocation_mb={mb}", json=body)
        assert answer.status_code == 200, answer.text
        return str(body["asset_guid"])

    def upload(self, guid: str, name: str, data: bytes, **more: Any) -> httpx.Response:
        crc = more.pop("crc", zlib.crc32(data))
        params = {"crc": crc, "file_size_mb": more.pop("mb", 1)}
        path = f"/assetfiles/{more.pop('place', 'NHMD/Vascular plants')}/{guid}/{name}"
        return self.proxy("PUT", path, params=params, content=data, **more)

    def synchronise(self, guid: str) -> None:
        answer = self.proxy(
            "POST", f"/shares/assets/{guid}/synchronize?workstation=W&pipeline=PIPEHERB0001"
        )
        assert answer.status_code == 204, answer.text

    def open_share(self, guid: str, *, mb: int = 10, **extra: Any) -> httpx.Response:
        body = {"assets": [{"asset_guid": guid, **extra}], "users": ["u"], "allocation_mb": mb}
        return self.proxy("POST", f"/shares/assets/{guid}/createShare", json=body)

    def archived(self, data: bytes = b"one leaf", **fields: Any) -> str:
        """A new asset with the file `leaf.tif`, synchronised and closed."""
        guid = self.create(**fields)
        assert self.upload(guid, "leaf.tif", data).status_code == 200
        self.synchronise(guid)
        assert self.tick()["synchronised"] >= 1
        return guid

    def status(self, guid: str) -> tuple[str, int | None]:
        info = self.ars("GET", f"/assets/status/{guid}").json()
        return info["status"], info["share_allocation_mb"]

    def file_info(self, guid: str) -> list[dict[str, Any]]:
        return list(self.proxy("GET", f"/assets/{guid}/files").json())

    def events(self, guid: str) -> list[dict[str, Any]]:
        return list(self.ars("GET", f"/assetmetadata/{guid}/events").json())

    def share_folder(self, guid: str, place: str = "NHMD/Vascular plants") -> Path:
        return self.config.share_dir / "assetfiles" / place / guid

    def erda_folder(self, guid: str, place: str = "NHMD/Vascular plants") -> Path:
        return self.config.erda_dir / place / guid


def new_guid() -> str:
    return f"guid-{uuid.uuid4().hex}"


def asset(**fields: Any) -> dict[str, Any]:
    """The least an asset needs, with whatever a test changes; None leaves a field out."""
    guid = new_guid()
    body = {
        "asset_pid": fields.get("asset_guid", guid),
        "asset_guid": guid,
        "status": "WORKING_COPY",
        "institution": "NHMD",
        "collection": "Vascular plants",
        "pipeline": "PIPEHERB0001",
        "workstation": "WORKHERB0001",
        "digitiser": "Karen Blixen",
    } | fields
    return {key: value for key, value in body.items() if value is not None}


@contextmanager
def serving(config: StandInConfig, port: int) -> Iterator[Archive]:
    """Serve `config` from a thread until the block ends; the port is free again afterwards."""
    with (
        served(create_app(config), port),
        httpx.Client(base_url=config.base_url, timeout=DEADLINE_S) as http,
    ):
        yield Archive(config, http)


def configure(folder: Path, database_url: str, **more: Any) -> tuple[StandInConfig, int]:
    port = free_port()
    settings: dict[str, Any] = {
        "database_url": database_url,
        "share_dir": folder / "share",
        "erda_dir": folder / "erda",
        "base_url": f"http://127.0.0.1:{port}",
        "client_secret": SECRET,
        "tick_seconds": 0,
        "gap_ms": 0,
        "disk_mb": 100_000,
        "control": True,
    }
    return StandInConfig(**(settings | more)), port


def enrol(archive: Archive) -> None:
    """Make the clients that tests act as."""
    clients = [
        {"client_id": name, "client_secret": SECRET, "roles": roles}
        for name, roles in CLIENTS.items()
    ]
    archive.sim("POST", "/seed", json={"clients": clients})
