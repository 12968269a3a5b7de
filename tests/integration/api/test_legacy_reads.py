"""What scripts read, and who may call at all."""

from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.legacy.routes import UNKNOWN, router
from schemas.metadata.v2 import KEYS
from tests.support.callbacks import Cluster, bearer, client, cluster_config
from tests.support.events_server import EventsServer

READS = ["/dev/api/v1/httplink", "/dev/api/v1/metadata_asset"]


async def test_the_greeting_is_open_to_all(cluster: Cluster) -> None:
    async with client(cluster.app, "203.0.113.9") as stranger:
        answer = await stranger.get("/dev/yo")
    assert answer.json() == "keep out all devils!"


async def test_metadata_is_read_in_both_versions_names(cluster: Cluster) -> None:
    await cluster.asset("g", funding=["DaSSCo"], multi_specimen=True)
    url = "/dev/api/v1/metadata_asset"
    body = (await cluster.http.get(url, params={"asset_guid": "g"})).json()
    assert body.keys() >= KEYS | {"_id", "multi_specimen", "parent_guids"}
    assert (body["_id"], body["multispecimen"], body["funding"]) == ("g", True, "DaSSCo")
    body = (await cluster.http.get(url, params={"asset_guid": "g", "version": "3"})).json()
    assert body["funding"] == ["DaSSCo"]


async def test_the_link_is_the_images_escaped_address(cluster: Cluster) -> None:
    await cluster.asset("g")
    answer = await cluster.http.get("/dev/api/v1/httplink", params={"asset_guid": "g"})
    base = "https://ars.test/file_proxy/api/assetfiles"
    assert answer.json() == {"link": f"{base}/NHMD/Vascular%20plants/g/g.tif"}


async def test_an_asset_without_files_has_no_link_and_is_no_crash(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.world.sql("DELETE FROM track.file")
    answer = await cluster.http.get("/dev/api/v1/httplink", params={"asset_guid": "g"})
    assert (answer.status_code, answer.json()) == (422, {"error": "asset g has no file yet"})


def path_of(kind: str) -> tuple[str, str]:
    """The method and the path of a kind of call."""
    return "GET" if kind in ("httplink", "metadata_asset") else "POST", f"/dev/api/v1/{kind}"


def test_there_are_fourteen_paths() -> None:
    paths = [f"/api/v1/{kind}" for kind in UNKNOWN]
    assert sorted(route.path for route in router.routes) == sorted(["/yo", *paths])  # type: ignore[attr-defined]
    assert len(router.routes) == 14


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_an_unknown_asset_is_422_with_the_text_of_old(cluster: Cluster, kind: str) -> None:
    query = {"params": {"asset_guid": "nobody"}}
    job = {"guid": "nobody", "job_name": "ocr", "job_id": "1", "timestamp": "2026-11-21T10:00:00Z"}
    sheet = {"barcodes": [], "asset_subject": "s", "MSO": False, "MOS": False, "label": False}
    update = {"guid": "nobody", "job": "ocr", "status": "DONE", "data": {}}
    info = {"guid": "nobody", "name": "n", "type": "t", "check_sum": 1, "file_size": 1}
    bodies = {
        "queue_job": job,
        "start_job": job,
        "failed_job": job | {"fail_status": "ERROR"},
        "update_asset": update,
        "barcode": update | sheet,
        "derivative_file_info": info,
        "fail_derivative_creation": {"guid": "nobody", "ppi": 72},
        "derivative": {"asset_guid": "x", "parent_guid": "nobody"},
    }
    more = {"json": bodies[kind]} if kind in bodies else query
    answer = await cluster.http.request(*path_of(kind), **more)
    assert answer.status_code == 422, answer.text
    assert answer.json() == {"error": UNKNOWN[kind]}
    assert await cluster.rows("SELECT 1 AS x FROM track.inbox") == []


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_no_path_is_open_to_strangers(cluster: Cluster, kind: str) -> None:
    """Every path was once open to anybody who reached the port."""
    async with client(cluster.app, "203.0.113.9") as stranger:
        answer = await stranger.request(
            *path_of(kind),
            params={"asset_guid": "g"},
            json={},
            headers={"X-Forwarded-For": "10.1.2.3"},
        )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("url", READS)
async def test_a_token_reads_its_own_family_from_anywhere(cluster: Cluster, url: str) -> None:
    await cluster.asset("g")
    await cluster.asset("other")
    attempt = await cluster.queue("g", "assetLoader")
    async with client(cluster.app, "203.0.113.9") as far:
        own = await far.get(url, params={"asset_guid": "g"}, headers=bearer(attempt))
        other = await far.get(url, params={"asset_guid": "other"}, headers=bearer(attempt))
    assert (own.status_code, other.status_code) == (200, 403)


async def test_a_clients_address_is_believed_from_listed_proxies_only(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> None:
    proxies = (ip_network("192.0.2.0/24"),)
    config = cluster_config(database, prefect.url, tmp_path, trusted_proxies=proxies)
    async with Cluster.open(engine, config) as cluster:
        await cluster.asset("g")
        said = {
            ("192.0.2.1", "10.1.2.3"): 200,
            ("192.0.2.1", "10.1.2.3, 203.0.113.9"): 401,
            ("192.0.2.1", "203.0.113.9, 10.1.2.3, 192.0.2.7"): 200,
            ("192.0.2.1", "nonsense"): 401,
            ("203.0.113.9", "10.1.2.3"): 401,
        }
        for (peer, forwarded), status in said.items():
            async with client(cluster.app, peer) as http:
                answer = await http.get(
                    READS[1],
                    params={"asset_guid": "g"},
                    headers={"X-Forwarded-For": forwarded},
                )
            assert answer.status_code == status, (peer, forwarded)


async def test_what_the_database_cannot_keep_is_422_and_no_crash(cluster: Cluster) -> None:
    answer: httpx.Response = await cluster.http.get(f"{READS[0]}?asset_guid=%00")
    assert answer.status_code == 422
    body = '{"guid":"g","job":"ocr","status":"DONE","data":{"a":"\\u0000"}}'
    answer = await cluster.http.post("/dev/api/v1/update_asset", content=body)
    assert answer.status_code == 422
    assert "NUL" in answer.json()["error"]


async def test_the_prefix_is_a_setting(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> None:
    config = cluster_config(database, prefect.url, tmp_path, legacy_prefix="")
    async with Cluster.open(engine, config) as cluster:
        assert (await cluster.http.get("/yo")).status_code == 200
        assert (await cluster.http.get("/dev/yo")).status_code == 404
