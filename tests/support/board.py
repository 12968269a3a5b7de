"""The board's application, asked as a browser asks it but without a socket."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from blocks.access.passwords import Passwords
from blocks.access.signing_in import LocalLogin
from blocks.access.users import LocalUser, Role, UsersFile
from board.app import create_app
from board.context import BoardConfig
from board.login.admission import BoardLogin
from board.login.config import LoginConfig
from board.visitors import Operator, Reader

NO_DATABASE = "postgresql+psycopg://nobody@127.0.0.1:9/none"
"""For what needs none."""

PASSWORD = "horse bättery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

HTML = {"Accept": "text/html"}


def board_config(database_url: str = NO_DATABASE, **given: Any) -> BoardConfig:
    """The board of a test, on nothing but its database."""
    usual = {"prefect": "http://127.0.0.1:9", "prefect_api": "http://127.0.0.1:9/api"}
    return BoardConfig(database_url=database_url, **(usual | given))


def board_app(database_url: str = NO_DATABASE, **given: Any) -> FastAPI:
    """The application; it compares passwords quickly. `given` are fields of its `BoardConfig`."""
    app = create_app(board_config(database_url, **given))
    login: BoardLogin = app.state.login
    if login.users:
        login.local = LocalLogin(login.users, Passwords(QUICK))
    return app


@asynccontextmanager
async def open_board(database_url: str, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A running board; `given` are fields of its `BoardConfig`."""
    async with browsing(board_app(database_url, **given)) as client:
        yield client


@asynccontextmanager
async def browsing(
    app: FastAPI, address: str = "http://127.0.0.1", peer: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, with its cookies, before an application that runs meanwhile."""
    transport = httpx.ASGITransport(app=app, client=(peer, 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=address, headers=HTML) as client,
    ):
        yield client


def with_probes(app: FastAPI) -> FastAPI:
    """A page for readers, `/who`, and what an operator does, `/act`."""

    async def who(visitor: Reader) -> dict[str, str]:
        return {"name": visitor.name, "role": str(visitor.role)}

    async def act(visitor: Operator) -> dict[str, str]:
        return {"by": visitor.name}

    app.add_api_route("/who", who)
    app.add_api_route("/act", act, methods=["POST"])
    return app


def login_config(folder: Path, **given: Any) -> LoginConfig:
    """A login for `anna`, an operator, and `bo`, a reader, whose password is `PASSWORD`."""
    users = UsersFile(folder / "users.toml")
    for name, role in (("anna", Role.OPERATOR), ("bo", Role.READER)):
        users.add(LocalUser(name=name, role=role, password=QUICK.hash(PASSWORD)))
    return LoginConfig(**({"users_file": users.path, "secret": "a secret of the test"} | given))


async def log_in(
    client: httpx.AsyncClient, name: str, password: str = PASSWORD, **fields: str
) -> httpx.Response:
    """Fill in the form and send it; the answer, not yet followed."""
    token = csrf_in(await client.get("/login"))
    sent = {"csrf": token, "name": name, "password": password} | fields
    return await client.post("/login", data=sent)


def csrf_in(page: httpx.Response) -> str:
    """The token that the forms of a page send along."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


@asynccontextmanager
async def operators_board(
    database_url: str, folder: Path, **given: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A running board that `anna`, an operator, has logged in to; what is posted has her token."""
    async with open_board(database_url, login=login_config(folder), **given) as client:
        await log_in(client, "anna")
        client.headers["X-CSRF-Token"] = csrf_in(await client.get("/no/such"))
        yield client


@asynccontextmanager
async def acting_board(
    database_url: str, name: str = "ib", **given: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A running board that an operator of this name has logged in to, as with a browser."""
    with TemporaryDirectory() as folder:
        users = UsersFile(Path(folder) / "users.toml")
        users.add(LocalUser(name=name, role=Role.OPERATOR, password=QUICK.hash(PASSWORD)))
        login = LoginConfig(users_file=users.path, secret="a secret of the test")
        async with open_board(database_url, login=login, **given) as client:
            await log_in(client, name)
            yield client
