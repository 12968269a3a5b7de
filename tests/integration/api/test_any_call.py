"""Whatever is sent to the clusters' application: an answer, never a server error."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from api.clusters import create_app
from refinery.local.postgres import EmbeddedPostgres
from tests.support.agents import AgentByHand, take_pull_sites
from tests.support.any_call import ODD_BODIES, ODD_TYPES, calls, operations
from tests.support.callbacks import KEYS, Cluster, cluster_config
from tests.support.serving import free_port, served
from track.schema.database import make_engine
from track.schema.migrations import upgrade

OPERATIONS = operations(create_app(cluster_config("postgresql+psycopg://", "http://e", Path("o"))))
EXAMPLES = 15
STAGES = ("assetLoader", "barcode", "ocr", "derivative")


@dataclass
class Served:
    """The running application, and what its world holds."""

    url: str
    guids: list[str]
    attempts: list[int]
    agent: dict[str, str]

    def bearer(self, path: str) -> dict[str, str]:
        """What is shown at a path: an attempt's token, or an agent's."""
        if path.startswith("/sites/"):
            return self.agent
        attempt_id = next((each for each in self.attempts if f"/attempts/{each}/" in path), None)
        return (
            {} if attempt_id is None else {"Authorization": f"Bearer {KEYS.issue(attempt_id, 1)}"}
        )


@pytest.fixture(scope="module")
def running(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The application over HTTP, and one asset at each of the stages, queued at a site."""
    postgres.ensure_database("any_call")
    upgrade(postgres.url("any_call"))
    folder = tmp_path_factory.mktemp("api")
    loopback = {"legacy_callbacks": (ip_network("127.0.0.0/8"),)}
    config = cluster_config(postgres.url("any_call"), "http://127.0.0.1:9/api", folder, **loopback)

    async def world() -> tuple[list[str], list[int], dict[str, str]]:
        engine = make_engine(config.database_url)
        async with Cluster.open(engine, config) as cluster:
            guids = [f"leaf {stage} æ" for stage in STAGES]
            attempts = []
            for guid, stage in zip(guids, STAGES, strict=True):
                await cluster.asset(guid)
                attempts.append(await cluster.queue(guid, stage))
            await take_pull_sites(cluster)
            agent = await AgentByHand.join(cluster)
        await engine.dispose()
        return guids, attempts, agent.headers

    guids, attempts, agent = asyncio.run(world())
    with served(create_app(config), free_port()) as url:
        yield Served(url, guids, attempts, agent)


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_call_that_the_document_suggests_is_a_server_error(running: Served, label: str) -> None:
    words: dict[str, st.SearchStrategy[Any]] = {
        name: st.sampled_from(running.guids) for name in ("guid", "asset_guid", "parent_guid")
    }
    words |= {name: st.sampled_from(STAGES) for name in ("job", "job_name")}
    words |= {
        "status": st.sampled_from(["DONE", "ERROR", "RUNNING"]),
        "fail_status": st.sampled_from(["RETRY", "ERROR", "PAUSED"]),
        "job_id": st.sampled_from(["-1", "n1"]),
        "timestamp": st.just("2026-11-21T10:00:00+01:00"),
        "attempt_id": st.sampled_from(running.attempts),
        "attempt": st.sampled_from(running.attempts),
        "site": st.just("far"),
        "wait_s": st.just(0),  # what waits for work waits half a minute
    }

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(call=calls(OPERATIONS[label], words))
    def every(call: Any) -> None:
        call.headers.pop("Authorization", None)
        headers = running.bearer(call.formatted_path)
        answer = call.call(base_url=running.url, headers=headers, timeout=60)
        call.validate_response(answer, checks=[not_a_server_error])

    every()


@pytest.mark.parametrize("odd", ODD_BODIES)
def test_no_body_is_a_server_error(running: Served, odd: str) -> None:
    with httpx.Client(base_url=running.url, timeout=60) as http:
        for operation in OPERATIONS.values():
            if operation.method == "get":
                continue
            path = operation.full_path.format(
                attempt_id=running.attempts[0],
                attempt=running.attempts[0],
                name="x",
                site="far",
                sha256="0" * 64,
            )
            for kind in ODD_TYPES:
                headers = running.bearer(path)
                answer = http.request(
                    operation.method,
                    path,
                    content=ODD_BODIES[odd],
                    headers=headers | {"Content-Type": kind},
                )
                assert answer.status_code < 500, (path, kind, answer.text)


async def test_what_no_index_holds_is_refused_for_good(cluster: Cluster) -> None:
    endless = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=90_000))
    await cluster.asset("g1")
    attempt_id = await cluster.queue("g1", "barcode")
    refused = await cluster.own(
        attempt_id, "start", {"native_id": endless[:201], "nonce": "x"}, status=422
    )
    assert "native_id" in refused["error"]
    body = {
        "guid": "g1",
        "job": "barcode",
        "status": "DONE",
        "barcodes": ["b"],
        "asset_subject": "label",
        "MSO": False,
        "MOS": True,
        "label": True,
        "disposable": endless,
    }
    await cluster.script("barcode", **body)
    job = await cluster.job("g1", "barcode")
    assert job["state"] == "failed"
    assert "disposable" in job["reason"]
