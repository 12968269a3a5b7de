"""Scripts without a token, from a network that only a site lists: they speak for its attempts."""

from collections.abc import AsyncIterator

import httpx
import pytest

from schemas.sites import Site
from tests.support.callbacks import Cluster, client
from track.jobs.sites import load_sites
from track.jobs.verbs import move_site
from track.schema.database import transact

THERE = "198.51.100.7"
READS = ("/dev/api/v1/httplink", "/dev/api/v1/metadata_asset")


async def list_networks(cluster: Cluster, **networks: str) -> None:
    """Make `sites.yaml` what it says: sites and the network that each lists."""
    given = [
        {"site": name, "kind": "local", "root": "r", "legacy_callbacks": [network] * bool(network)}
        for name, network in networks.items()
    ]
    sites = [Site.model_validate(each) for each in given]
    await transact(cluster.engine, load_sites, sites, actor="test")


@pytest.fixture
async def script(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A script at s1, whose network no setting lists but the site's own."""
    await list_networks(cluster, here="", s1="198.51.100.0/24", s2="203.0.113.0/24")
    async with client(cluster.app, THERE) as http:
        yield http


def job(guid: str, job_id: str = "7") -> dict[str, str]:
    when = "2026-11-21T10:00:00+01:00"
    return {"guid": guid, "job_name": "assetLoader", "job_id": job_id, "timestamp": when}


async def test_a_script_in_its_sites_network_calls_for_its_attempts_without_a_token(
    cluster: Cluster, script: httpx.AsyncClient
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "assetLoader", "s1")
    answer = await script.post("/dev/api/v1/start_job", json=job("g"))
    assert (answer.status_code, answer.json()) == (200, None)
    assert (await cluster.job("g", "assetLoader"))["state"] == "running"
    for url in READS:
        assert (await script.get(url, params={"asset_guid": "g"})).status_code == 200


async def test_it_cannot_call_for_another_sites_attempts(
    cluster: Cluster, script: httpx.AsyncClient
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "assetLoader", "s2")
    answer = await script.post("/dev/api/v1/start_job", json=job("g"))
    assert answer.status_code == 403 and "g was never given to s1" in answer.text
    answer = await script.post("/dev/api/v1/asset_clean_up", params={"asset_guid": "g"})
    assert answer.status_code == 403
    assert (await cluster.job("g", "assetLoader"))["state"] == "queued"
    for url in READS:
        assert (await script.get(url, params={"asset_guid": "g"})).status_code == 403
    assert await cluster.rows("SELECT 1 AS x FROM track.inbox") == []


async def test_a_job_that_went_to_another_site_leaves_the_first_ones_calls_stale(
    cluster: Cluster, script: httpx.AsyncClient
) -> None:
    await cluster.asset("g")
    first = await cluster.queue("g", "assetLoader", "s1")
    job_id = (await cluster.attempt(first))["job_id"]
    await transact(cluster.engine, move_site, job_id, "s2", actor="test", why="s1 is closed")
    answer = await script.post("/dev/api/v1/start_job", json=job("g"))
    assert answer.status_code == 200
    assert await cluster.inbox("start_job") == ["stale"]
    assert (await cluster.job("g", "assetLoader"))["state"] == "queued"


async def test_a_changed_list_counts_from_the_next_call_on(
    cluster: Cluster, script: httpx.AsyncClient
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "assetLoader", "s1")
    asked = {"asset_guid": "g"}
    assert (await script.get(READS[1], params=asked)).status_code == 200
    await list_networks(cluster, here="", s1="198.51.100.8/32")
    assert (await script.get(READS[1], params=asked)).status_code == 401
    await list_networks(cluster, here="", s1="198.51.100.7/32")
    assert (await script.get(READS[1], params=asked)).status_code == 200
    await list_networks(cluster, here="")
    assert (await script.get(READS[1], params=asked)).status_code == 401
