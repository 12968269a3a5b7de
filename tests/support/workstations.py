"""Workstations that send to the upload API: it is served over HTTP, and a station speaks tus."""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher

from api.workstations.app import WorkstationApi, create_app
from blocks.access.bearer import BearerTokens
from blocks.access.passwords import Passwords
from blocks.access.users import LocalUser, Role, UsersFile
from refinery.offered import OfferedValues
from tests.support.serving import free_port, serving

STATIONS = ("WORKHERB0001", "WORKHERB0002")
PASSWORD = "a long password"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
VALUES = """
institutions: {NHMD: 1}
collections:
  - {name: NHMD Vascular Plants, number: 1, institution: NHMD, pipelines: [PIPEHERB0001],
     preparation_types: [sheet]}
workstations:
  - {name: WORKHERB0001, number: 1, institution: NHMD}
  - {name: WORKHERB0002, number: 2, institution: NHMD}
funding: [DaSSCo]
digitisers: [Åse Ø]
"""
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {**TUS, "Content-Type": "application/offset+octet-stream"}


def sha256(content: bytes) -> str:
    """The SHA-256 of a content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def metadata(**values: str) -> dict[str, str]:
    """The header that says these of a file."""
    encoded = [
        f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in values.items()
    ]
    return {"Upload-Metadata": ",".join(encoded)}


def write_users(path: Path, users: dict[str, tuple[str, ...]]) -> None:
    """A file of users, by name the workstations they write into; all have one password."""
    hashed = Passwords(QUICK).hashed(PASSWORD)
    for name, stations in users.items():
        user = LocalUser(name=name, role=Role.READER, password=hashed, workstations=stations)
        UsersFile(path).add(user)


def station_config(
    database: str, folder: Path, *, bearer: BearerTokens | None = None, **given: Any
) -> WorkstationApi:
    """How the application is set up: a drive with two workstations, each with its digitiser."""
    drive = folder / "drive"
    for station in STATIONS:
        (drive / station).mkdir(parents=True, exist_ok=True)
    values, users = folder / "workstations.yaml", folder / "users.toml"
    if not values.exists():
        values.write_text(VALUES, encoding="utf-8")
        write_users(users, {"Åse": STATIONS[:1], "Bo": STATIONS[1:], "Cy": ("*",)})
    return WorkstationApi(
        database_url=database,
        n_drive=drive,
        workstations=STATIONS,
        offered=OfferedValues(values),
        users_file=users,
        secret="a secret of the tests",
        bearer=bearer,
        **given,
    )


@dataclass
class Station:
    """A workstation that sends to the API by hand."""

    http: httpx.AsyncClient
    drive: Path
    name: str = STATIONS[0]
    session: str = "2026-11-21T09.30"
    headers: dict[str, str] = field(default_factory=dict)
    app: Any = None

    @property
    def making(self) -> Path:
        """The session's folder while it is being sent."""
        return self.drive / self.name / f"new_{self.session}"

    @property
    def made(self) -> Path:
        """The session's folder once it is complete."""
        return self.drive / self.name / self.session

    async def log_in(self, user: str = "Åse", password: str = PASSWORD) -> "Station":
        """Log in and show the token from now on."""
        body = {"username": user, "password": password}
        answer = await self.http.post("/verify", json=body)
        assert answer.status_code == 200, answer.text
        self.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return self

    async def create(
        self, filename: str, content: bytes, *, size: int | None = None, **given: str
    ) -> httpx.Response:
        """Begin a file."""
        said = {
            "workstation": self.name,
            "session": self.session,
            "filename": filename,
            "checksum": sha256(content),
            "fixityAlgorithm": "sha256",
            **given,
        }
        length = {"Upload-Length": str(len(content) if size is None else size)}
        headers = self.headers | TUS | length | metadata(**said)
        return await self.http.post("/files", headers=headers)

    async def patch(self, location: str, offset: int, content: Any) -> httpx.Response:
        """Send bytes."""
        headers = self.headers | OCTETS | {"Upload-Offset": str(offset)}
        return await self.http.patch(location, headers=headers, content=content)

    async def head(self, location: str) -> httpx.Response:
        """Ask how much has arrived."""
        return await self.http.head(location, headers=self.headers | TUS)

    async def send(self, filename: str, content: bytes, **given: str) -> str:
        """Begin a file and send all of it; where it is."""
        created = await self.create(filename, content, **given)
        assert created.status_code == 201, created.text
        location = created.headers["location"]
        if int(created.headers["upload-offset"]) < len(content):
            sent = await self.patch(location, 0, content)
            assert sent.status_code == 204, sent.text
        return location

    async def stored(self, location: str) -> httpx.Response:
        """Have a file confirmed."""
        return await self.http.get(f"{location}/stored", headers=self.headers)

    async def end(self, files: dict[str, bytes]) -> httpx.Response:
        """Say that the session is complete."""
        listed = [
            {"name": name, "size_bytes": len(content), "sha256": sha256(content)}
            for name, content in files.items()
        ]
        path = f"/sessions/{self.name}/{self.session}/end"
        return await self.http.put(path, json={"files": listed}, headers=self.headers)

    async def get(self, path: str, **query: str) -> httpx.Response:
        """Ask something."""
        return await self.http.get(path, headers=self.headers, params=query or None)


@asynccontextmanager
async def uploading(config: WorkstationApi) -> AsyncIterator[Station]:
    """The application behind a real server, and a workstation that is logged in."""
    app = create_app(config)
    async with (
        serving(app, free_port()) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        yield await Station(http, config.n_drive, app=app).log_in()


def refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    """Check a refusal: its status, its code, and words of its sentence."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    for word in words:
        assert word in answer.json()["error"], answer.text


def names_in(folders: Iterable[Path]) -> list[str]:
    """The names of all files in some folders, hidden ones too."""
    return sorted(path.name for folder in folders for path in folder.iterdir())
