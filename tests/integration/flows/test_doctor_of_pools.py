"""The doctor's look at Prefect: pools without a worker, paused, or with runs that wait."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Scheduled

from flows.reconcile import reconcile as reconcile_flow
from refinery.doctor import reconcile, work_pool

POOL = "doctored-"


@pytest.fixture
async def client(prefect_server: None) -> AsyncIterator[PrefectClient]:
    """Prefect's client; pools of ours and their deployments are gone afterwards."""
    async with get_client() as made:
        yield made
        for deployment in await made.read_deployments(limit=200):
            if deployment.name.startswith(POOL):
                await made.delete_deployment(deployment.id)
        for pool in await made.read_work_pools(limit=200):
            if pool.name.startswith(POOL):
                await made.delete_work_pool(pool.name)


@pytest.fixture
def api(prefect_server: None) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(PREFECT_API_URL.value()), timeout=20) as made:
        yield made


async def deployed(client: PrefectClient, pool: str) -> UUID:
    """A pool, and a deployment of reconcile in it."""
    await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    flow_id = await client.create_flow(reconcile_flow)
    return await client.create_deployment(
        flow_id=flow_id, name=pool, work_pool_name=pool, parameter_openapi_schema={}
    )


async def test_a_pool_says_what_is_wrong_with_it_and_what_to_do(
    client: PrefectClient, api: httpx.Client
) -> None:
    pool = f"{POOL}{uuid4()}"
    with pytest.raises(RuntimeError, match="there is none: 'refinery up' makes it"):
        work_pool(api, pool)
    deployment = await deployed(client, pool)
    with pytest.raises(RuntimeError, match="no worker is online, and nothing starts"):
        work_pool(api, pool)
    await client.send_worker_heartbeat(work_pool_name=pool, worker_name="w")
    assert work_pool(api, pool) == "1 worker online, nothing waits for a place"
    since = datetime.now(UTC) - timedelta(minutes=9, seconds=10)
    state = Scheduled(name="Late", scheduled_time=since)
    await client.create_flow_run_from_deployment(deployment, state=state)
    with pytest.raises(RuntimeError, match="1 of its runs are late, the oldest by 9 min"):
        work_pool(api, pool)
    await client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
    with pytest.raises(RuntimeError, match=f"paused, 1 of .*'prefect work-pool resume {pool}'"):
        work_pool(api, pool)


async def test_the_last_run_of_reconcile_is_told(client: PrefectClient, api: httpx.Client) -> None:
    deployment = await deployed(client, f"{POOL}{uuid4()}")
    run = await client.create_flow_run_from_deployment(deployment)
    await client.set_flow_run_state(run.id, Completed(), force=True)
    assert reconcile(api).startswith("ran ")
