"""Health, figures, documentation, and the whole of it behind a real server."""

from ipaddress import ip_network
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from tests.support.callbacks import KEYS, Cluster, cluster_config
from tests.support.events_server import EventsServer
from tests.support.serving import free_port, serving


async def test_health_names_what_works_and_what_waits(
    cluster: Cluster, prefect: EventsServer
) -> None:
    body = (await cluster.http.get("/health")).json()
    assert (body["status"], body["database"], body["unannounced"]) == ("ok", True, 0)
    assert body["version"]


async def test_health_is_503_without_a_database(prefect: EventsServer, tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://u:p@127.0.0.1:{free_port()}/x"
    app = create_app(cluster_config(nowhere, prefect.url, tmp_path))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as http,
    ):
        answer = await http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "down")
        head = {"Authorization": f"Bearer {KEYS.issue(1, 1)}"}
        body = {"native_id": "n", "nonce": "x"}
        answer = await http.post("/attempts/1/start", json=body, headers=head)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_the_figures_count_jobs_and_callbacks(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    await cluster.own(attempt, "complete", {"native_id": "n1", "nonce": "x", "result": {}})
    await cluster.own(attempt, "complete", {"native_id": "n1", "nonce": "x", "result": {}})
    page = (await cluster.http.get("/metrics")).text
    assert 'refinery_jobs{pipeline="P",stage="ocr",state="returned"} 1.0' in page
    assert 'refinery_callbacks_total{kind="complete",outcome="repeated"} 1.0' in page
    assert 'refinery_callbacks_total{kind="complete",outcome="applied"} 1.0' in page
    assert 'path="/attempts/{attempt_id}/complete"' in page
    assert "refinery_events_unannounced" in page


async def test_the_figures_sum_what_modules_took(cluster: Cluster) -> None:
    for guid, seconds, peak in (("g", 2.5, 300), ("h", 1.5, 200)):
        await cluster.asset(guid)
        attempt = await cluster.queue(guid, "ocr")
        await cluster.start(attempt)
        usage = {"seconds": seconds, "cpu_s": 1, "max_rss_mb": peak}
        body = {"native_id": "n1", "nonce": "x", "result": {"usage": usage}}
        assert (await cluster.own(attempt, "complete", body))["applied"] == "applied"
    page = (await cluster.http.get("/metrics")).text
    for name, value in (("images", 2), ("seconds", 4), ("cpu_s", 2), ("peak_mb", 300)):
        line = f'refinery_module_{name}{{pipeline="P",site="s1",stage="ocr"}} {float(value)}'
        assert line in page


async def test_every_path_is_described(cluster: Cluster) -> None:
    document = (await cluster.http.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert (
        len(operations) == 14 + 6 + 8 + 2 * 1 + 2
    )  # scripts, runners, agents, the poller, service
    for operation in operations:
        assert operation["summary"] and operation["description"], operation
    assert (await cluster.http.get("/docs")).status_code == 200


async def test_a_runner_and_a_script_over_a_real_connection(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> None:
    local = (ip_network("127.0.0.0/8"),)
    config = cluster_config(database, prefect.url, tmp_path, legacy_callbacks=local)
    async with Cluster.open(engine, config) as world:
        await world.asset("g")
        attempt = await world.queue("g", "assetLoader")
        async with (
            serving(create_app(config), free_port()) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as http,
        ):
            head = {"Authorization": f"Bearer {KEYS.issue(attempt, 1)}"}
            body = {"native_id": "n", "nonce": "x"}
            answer = await http.post(f"/attempts/{attempt}/start", json=body, headers=head)
            assert answer.status_code == 200, answer.text
            body["result"] = {}  # type: ignore[assignment]
            answer = await http.post(f"/attempts/{attempt}/complete", json=body, headers=head)
            assert answer.json() == {"applied": "applied", "attempt": attempt}
            ready = await http.post("/dev/api/v1/asset_ready", params={"asset_guid": "g"})
            assert (ready.status_code, ready.text) == (200, "null")
            await prefect.expect("hpc.job.finished")
        states = await world.rows("SELECT state FROM track.job WHERE attempt_id = :a", a=attempt)
        assert [row["state"] for row in states] == ["returned"]
