"""Who may send, and for which workstation: by name and password, or a provider's token."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import WorkstationApi
from blocks.access.bearer import BearerTokens
from blocks.access.users import UsersFile
from tests.support.oidc_provider import SmallProvider
from tests.support.serving import free_port, serving
from tests.support.workstations import (
    PASSWORD,
    STATIONS,
    Station,
    refused,
    station_config,
    uploading,
)


async def test_a_login_says_who_it_is_and_where_they_may_write(station: Station) -> None:
    body = {"username": "åse", "password": PASSWORD}
    for sent in ({"json": body}, {"data": body}):
        login = (await station.http.post("/verify", **sent)).json()
        assert (login["name"], login["workstations"]) == ("Åse", [STATIONS[0]])
        assert login["token"] and login["expires_at"]


async def test_old_clients_send_a_form_token_along(station: Station) -> None:
    token = (await station.http.get("/verify")).json()["csrf_token"]
    form = {"username": "Åse", "password": PASSWORD, "csrf_token": token}
    assert (await station.http.post("/verify", data=form)).status_code == 200


async def test_a_wrong_password_is_refused_without_saying_what_was_wrong(station: Station) -> None:
    for name in ("Åse", "nobody"):
        answer = await station.http.post("/verify", json={"username": name, "password": "wrong"})
        refused(answer, 401, "wrong_login", "name or the password")


async def test_too_many_wrong_ones_have_to_wait(station: Station) -> None:
    wrong = {"username": "Bo", "password": "wrong"}
    for _ in range(5):
        refused(await station.http.post("/verify", json=wrong), 401, "wrong_login")
    answer = await station.http.post("/verify", json=wrong | {"password": PASSWORD})
    refused(answer, 429, "too_many_logins", "wait")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("body", [b"", b"[]", b'{"username": "x"}', b"\xff"])
async def test_what_is_no_login_is_refused(station: Station, body: bytes) -> None:
    answer = await station.http.post("/verify", content=body)
    refused(answer, 422, "bad_request", "username and password")


@pytest.mark.parametrize("token", ["", "login.x", "login.WyJ4Il0.x.y", "ey.a.b", "x"])
async def test_without_a_good_token_nothing_is_told(station: Station, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for path in (f"/values?workstation={STATIONS[0]}", f"/sessions?workstation={STATIONS[0]}"):
        refused(await station.http.get(path, headers=headers), 401, "wrong_login", "log in")


async def test_a_login_ends_with_its_hours(config: WorkstationApi) -> None:
    async with uploading(replace(config, login_hours=1e-9)) as station:
        answer = await station.create("x.tif", b"x")
        if answer.status_code == 201:  # itsdangerous counts whole seconds
            return await until_expired(station)
        refused(answer, 401, "login_expired", "log in again")


async def until_expired(station: Station) -> None:
    import asyncio

    async with asyncio.timeout(30):
        while (await station.get("/values", workstation=STATIONS[0])).status_code == 200:
            await asyncio.sleep(0.1)
    refused(await station.create("x.tif", b"x"), 401, "login_expired", "log in again")


async def test_a_user_who_is_gone_or_has_another_password_is_out_at_once(
    station: Station, config: WorkstationApi
) -> None:
    users = UsersFile(config.users_file)
    users.change("Åse", lambda user: user.model_copy(update={"disabled": True}))
    refused(await station.create("x.tif", b"x"), 401, "wrong_login")
    users.change("Åse", lambda user: user.model_copy(update={"disabled": False}))
    assert (await station.create("x.tif", b"x")).status_code == 201
    users.change("Åse", lambda user: user.model_copy(update={"workstations": ()}))
    refused(await station.create("x.tif", b"x"), 403, "not_your_workstation")
    users.remove("Åse")
    refused(await station.create("x.tif", b"x"), 401, "wrong_login")


async def test_nobody_writes_into_anothers_folder(station: Station) -> None:
    mine = await station.send("x.tif", b"x")
    other = await Station(station.http, station.drive, STATIONS[1]).log_in("Bo")
    for answer in (
        await other.head(mine),
        await other.patch(mine, 0, b"x"),
        await other.stored(mine),
    ):
        assert answer.status_code == 403
    other.name = STATIONS[0]
    refused(await other.create("y.tif", b"y"), 403, "not_your_workstation", "Bo")
    everywhere = await Station(station.http, station.drive, STATIONS[1]).log_in("Cy")
    assert (await everywhere.create("y.tif", b"y")).status_code == 201


async def test_a_workstation_that_is_not_watched_is_unknown_even_to_who_may_all(
    station: Station,
) -> None:
    await station.log_in("Cy")
    for name in ("WORKHERB0009", "..", "", "a/b"):
        station.name = name or " "
        refused(await station.create("y.tif", b"y"), 404, "unknown_workstation")


async def test_a_workstation_is_offered_its_own_values(
    station: Station, config: WorkstationApi, tmp_path: Path
) -> None:
    values = (await station.get("/values", workstation=STATIONS[0])).json()
    assert values["collections"][0]["name"] == "NHMD Vascular Plants"
    assert (values["workstation_number"], values["time_zone"]) == (1, "Europe/Copenhagen")
    refused(await station.get("/values", workstation=STATIONS[1]), 403, "not_your_workstation")
    (tmp_path / "workstations.yaml").write_text("institutions: {A: 1}\n", encoding="utf-8")
    answer = await station.get("/values", workstation=STATIONS[0])
    refused(answer, 503, "try_later", "collections")


@pytest.fixture
async def provider() -> AsyncIterator[SmallProvider]:
    port = free_port()
    made = SmallProvider(f"http://127.0.0.1:{port}")
    async with serving(made.app, port):
        yield made


async def test_a_providers_token_is_as_good_as_a_login(
    provider: SmallProvider, engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    bearer = BearerTokens(provider.issuer, "board", "workstations", httpx.AsyncClient)
    config = station_config(database, tmp_path, bearer=bearer)
    provider.claims["workstations"] = [STATIONS[0]]
    async with uploading(config) as station:
        station.headers = {"Authorization": f"Bearer {provider.access_token()}"}
        login = (await station.http.post("/verify", headers=station.headers)).json()
        assert (login["name"], login["workstations"]) == ("Åse (oidc)", [STATIONS[0]])
        assert login["token"] == ""
        await station.send("x.tif", b"x")
        station.headers = {"Authorization": f"Bearer {provider.access_token(exp=1)}"}
        refused(await station.create("y.tif", b"y"), 401, "login_expired")
        other = BearerTokens("http://127.0.0.1:9", "board", "workstations", httpx.AsyncClient)
    async with uploading(replace(config, bearer=other)) as station:
        station.headers = {"Authorization": f"Bearer {provider.access_token()}"}
        refused(await station.create("z.tif", b"z"), 503, "try_later")
