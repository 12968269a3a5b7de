"""Prometheus understands our rules and our dashboard, and finds in a running application what
they ask for."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from api.own_metrics import serve_own_metrics
from schemas.events import SERVICE_SILENT
from tests.support.callbacks import KEYS, Cluster, cluster_config
from tests.support.events_server import EventsServer
from tests.support.prometheus import (
    MONITORING,
    Prometheus,
    need_prometheus,
    promtool,
    reading,
)
from tests.support.serving import free_port, serving
from track.reports.alarms import Subject, set_alarm

RULES = MONITORING / "rules.yaml"
DASHBOARD = MONITORING / "dashboard.json"
EXAMPLE = MONITORING / "prometheus.yml"
METRIC = re.compile(r"\b(?:refinery_\w+|up)\b(?!\s*\()")

CLUSTERS = 'up{job="refinery-clusters"}'
TROUBLE: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "RefineryNotRead": ({'up{job="other"}': "1x60"}, {CLUSTERS: "1x60"}),
    "RefineryApplicationDown": (
        {CLUSTERS: "1x60", 'up{job="refinery-board"}': "0x60"},
        {CLUSTERS: "1x60", 'up{job="other"}': "0x60"},
    ),
    "RefineryServiceAway": (
        {'refinery_service_connected{service="watch"}': "0x60"},
        {'refinery_service_connected{service="watch"}': "1 0 0 1x57"},
    ),
    "RefineryServiceSilent": (
        {'refinery_service_silent_seconds{service="sites"}': "400x60"},
        {'refinery_service_silent_seconds{service="sites"}': "5x60"},
    ),
    "RefineryArchiveDown": ({"refinery_archive_up": "0x60"}, {"refinery_archive_up": "1x60"}),
    "RefineryStageFailing": (
        {'refinery_alarm{kind="stage",name="P/ocr"}': "1x60"},
        {'refinery_alarm{kind="stage",name="P/ocr"}': "0x60"},
    ),
    "RefineryStorageFilling": (
        {'refinery_storage_free_bytes{place="store"}': "4e9x60"},
        {'refinery_storage_free_bytes{place="store"}': "6e9x60"},
    ),
    "RefineryStorageHangs": (
        {'refinery_storage_answers{place="n-drive"}': "0x60"},
        {'refinery_storage_answers{place="n-drive"}': "1x60"},
    ),
    "RefinerySiteDegraded": (
        {'refinery_site_degraded{site="s"}': "1x60"},
        {'refinery_site_degraded{site="s"}': "0x60"},
    ),
    "RefinerySiteDriverSilent": (
        {
            'refinery_site_driver_silent_seconds{site="s"}': "900x60",
            'refinery_site_open{site="s",kind="slurm"}': "1x60",
        },
        {
            'refinery_site_driver_silent_seconds{site="s"}': "900x60",
            'refinery_site_open{site="s",kind="slurm"}': "0x60",
        },
    ),
    "RefineryAgentSilent": (
        {'refinery_agent_silent_seconds{site="s",agent="1 a"}': "700x60"},
        {'refinery_agent_silent_seconds{site="s",agent="1 a"}': "60x60"},
    ),
    "RefineryJobsOverdue": (
        {'refinery_jobs_overdue{site="s"}': "3x60"},
        {'refinery_jobs_overdue{site="s"}': "0x60"},
    ),
    "RefineryEventsWait": (
        {"refinery_events_oldest_seconds": "400x60"},
        {"refinery_events_oldest_seconds": "2x60"},
    ),
    "RefinerySessionsWait": (
        {
            'refinery_sessions{state="waiting_for_a_dispatcher"}': "2x60",
            'refinery_sessions{state="at_work"}': "0x60",
        },
        {
            'refinery_sessions{state="waiting_for_a_dispatcher"}': "2x60",
            'refinery_sessions{state="at_work"}': "8x60",
        },
    ),
    "RefineryImagesNotArchived": (
        {"refinery_oldest_unarchived_seconds": "90000x60"},
        {"refinery_oldest_unarchived_seconds": "4000x60"},
    ),
    "RefineryCopiesStay": (
        {'refinery_prune_due_oldest_seconds{kind="ndrive"}': "200000x90"},
        {'refinery_prune_due_oldest_seconds{kind="ndrive"}': "7000x90"},
    ),
    "RefineryNeedsAPerson": (
        {'refinery_needs_person{kind="failed"}': "1x1500"},
        {'refinery_needs_person{kind="failed"}': "1x700 0x800"},
    ),
    "RefineryAlarm": (
        {'refinery_alarm{kind="backup",name="nightly"}': "1x60"},
        {'refinery_alarm{kind="stage",name="P/ocr"}': "1x60"},
    ),
    "RefineryWorkerAway": (
        {'refinery_alarm{kind="service",name="worker of refinery"}': "1x60"},
        {'refinery_alarm{kind="service",name="watch"}': "1x60"},
    ),
}
"""Of each alert: series of which it fires, and others of which it must not; a value a minute."""

AGENT = """
    INSERT INTO track.agent (site, name, joined_by, capacity, seen_at)
    VALUES ('s1', 'a', 'j', '{"process": 2}', now())
"""
OVERDUE = "UPDATE track.attempt SET queued_at = now() - interval '2 days' WHERE closed_at IS NULL"
COPY = """
    INSERT INTO track.retention (kind, asset_guid, location, due_at)
    VALUES ('ndrive', 'g', '/n', now() - interval '3 days')
"""


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> Iterator[tuple[str, str]]:
    """The title of each panel of the dashboard with each of its expressions."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def as_asked(expression: str) -> str:
    """An expression as Grafana asks it, all pipelines chosen."""
    return expression.replace("$pipeline", ".*").replace("$__rate_interval", "1m")


@pytest.fixture(autouse=True)
def programs() -> None:
    need_prometheus()


def test_promtool_accepts_the_rules_and_the_example(tmp_path: Path) -> None:
    for words in (("check", "rules", RULES), ("check", "config", EXAMPLE)):
        done = promtool(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    (broken := tmp_path / "rules.yaml").write_text(RULES.read_text().replace("== 0", "=== 0"))
    assert promtool("check", "rules", broken).returncode != 0


def test_each_alert_fires_of_its_trouble_and_of_nothing_else(tmp_path: Path) -> None:
    assert TROUBLE.keys() == alerts().keys()
    tests = []
    for alert, both in TROUBLE.items():
        for series, expected in zip(both, ([{"value": 1}], []), strict=True):
            minutes = max(int(text.rpartition("x")[2]) for text in series.values())
            given = [{"series": name, "values": values} for name, values in series.items()]
            fires = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
            check = {"expr": fires, "eval_time": f"{minutes}m", "exp_samples": expected}
            name = f"{alert} {'fires' if expected else 'is quiet'}"
            tests.append(
                {
                    "name": name,
                    "interval": "1m",
                    "input_series": given,
                    "promql_expr_test": [check],
                }
            )
    written = tmp_path / "test.yaml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    written.write_text(yaml.safe_dump(whole), encoding="utf-8")
    done = promtool("test", "rules", written)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_what_is_wrong_how_grave_it_is_and_what_to_do() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert rule["annotations"].keys() == {"summary", "remedy"}, name


def test_the_dashboard_can_be_imported_and_asks_the_chosen_prometheus() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert board["uid"] == "specimen-refinery" and "id" not in board
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource", "pipeline"]
    asking = [each for each in board["panels"] if each["type"] != "row"]
    assert {each["datasource"]["uid"] for each in asking} == {"${datasource}"}
    ids = [each["id"] for each in board["panels"]]
    assert len(ids) == len(set(ids)) > 30


async def fill(cluster: Cluster) -> int:
    """Something of everything that has labels: a queue, an end, an agent, an alarm, a copy.

    The attempt that has ended.
    """
    for guid in ("g", "h"):
        await cluster.asset(guid)
    done = await cluster.queue("g", "assetLoader")
    await cluster.start(done)
    usage = {"seconds": 2, "cpu_s": 1, "max_rss_mb": 300}
    result = {"native_id": "n1", "nonce": "x", "result": {"usage": usage}}
    await cluster.own(done, "complete", result)
    await cluster.queue("h", "assetLoader")
    for statement in (AGENT, OVERDUE, COPY):
        await cluster.world.sql(statement)
    async with cluster.engine.begin() as tx:
        await set_alarm(tx, Subject("service", "watch", SERVICE_SILENT), "it is silent")
    return done


async def test_a_real_prometheus_finds_every_metric_that_rules_and_dashboard_name(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> None:
    config = cluster_config(database, prefect.url, tmp_path, places={"store": tmp_path})
    other = FastAPI()
    serve_own_metrics(other)
    async with Cluster.open(engine, config) as cluster:
        done = await fill(cluster)
        async with (
            serving(create_app(config), free_port()) as clusters,
            serving(other, free_port()) as board,
            httpx.AsyncClient(base_url=clusters) as http,
        ):
            head = {"Authorization": f"Bearer {KEYS.issue(done, 1)}"}
            again = {"native_id": "n1", "nonce": "x", "result": {}}
            answer = await http.post(f"/attempts/{done}/complete", json=again, headers=head)
            assert answer.json()["applied"] == "repeated"
            targets = {"refinery-clusters": clusters, "refinery-board": board}
            hosts = {job: url.removeprefix("http://") for job, url in targets.items()}
            await asyncio.to_thread(ask_everything, hosts, tmp_path)


def ask_everything(hosts: dict[str, str], folder: Path) -> None:
    with reading(hosts, folder) as prometheus:
        for job, host in hosts.items():
            prometheus.wait_for(f'up{{job="{job}", instance="{host}"}} == 1')
        prometheus.wait_for("refinery_queue_jobs")
        asked = [expression for _, expression in panels()]
        asked += [rule["expr"] for rule in alerts().values()]
        named = {name for expression in asked for name in METRIC.findall(expression)}
        # A histogram's buckets of the page itself are there from the second time on.
        prometheus.wait_for("refinery_request_seconds_bucket")
        assert named - prometheus.names() == set()
        for expression in asked:
            prometheus.query(as_asked(expression))
        _values(prometheus)
        prometheus.wait_for('ALERTS{alertname="RefineryJobsOverdue", alertstate="pending"}')
        with pytest.raises(AssertionError, match="parse error"):
            prometheus.query("sum(refinery_jobs")


def _values(prometheus: Prometheus) -> None:
    """What the database says is what Prometheus read."""
    for expression, value in {
        'refinery_jobs_overdue{site="s1"}': "1",
        'refinery_alarm{kind="service", name="watch"}': "1",
        'refinery_prune_due{kind="ndrive"}': "1",
        'refinery_service_connected{service="clusters"}': "1",
        'refinery_service_connected{service="watch"}': "0",
        'refinery_storage_answers{place="store"}': "1",
        'refinery_module_seconds{stage="assetLoader"}': "2",
        "refinery_archive_up": "1",
    }.items():
        ((found,),) = [[each["value"][1] for each in prometheus.query(expression)]]
        assert found == value, expression


async def test_an_application_of_its_own_shows_how_quickly_it_answers() -> None:
    app = FastAPI()
    serve_own_metrics(app)

    @app.get("/specimens/{guid}")
    async def specimen(guid: str) -> str:
        return guid

    async with serving(app, free_port()) as url, httpx.AsyncClient(base_url=url) as http:
        await http.get("/specimens/g1")
        page = (await http.get("/metrics")).text
    line = 'refinery_request_seconds_count{method="GET",path="/specimens/{guid}",status="200"} 1.0'
    assert line in page
    assert "refinery_jobs" not in page and "g1" not in page
