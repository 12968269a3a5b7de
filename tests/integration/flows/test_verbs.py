"""A verb asked for by its name at the real Prefect server, and what is known of it afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from sqlalchemy.ext.asyncio import AsyncEngine

from flows import operate
from tasks.upkeep.verbs import VerbResult, await_verb, read_verbs, start_verb, verb_result
from tests.support.world import World, new
from track.commands.selection import CannotDo

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}


@pytest.fixture
async def client(blocks: Path, engine: AsyncEngine) -> AsyncIterator[PrefectClient]:
    """Prefect's client, of a server that has two of the verbs deployed."""
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    for flow in (operate.attention, operate.skip):
        await (await flow.ato_deployment(name=flow.fn.__name__)).aapply()
    async with get_client() as found:
        yield found


async def carried_out(client: PrefectClient, run_id: UUID, flow: Flow[..., object]) -> VerbResult:
    """Do what a worker would with a run, while somebody waits for its end."""
    waiting = asyncio.create_task(await_verb(client, run_id))
    run = await client.read_flow_run(run_id)
    await run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")
    return await waiting


async def test_a_verb_is_done_and_answers_in_words_and_rows(client: PrefectClient) -> None:
    given = {"by": "ib", "guid": "g", "text": "a blurred label"}
    run_id = await start_verb(client, "attention", given)
    before = await verb_result(client, run_id)
    assert not before.ended and not before.done and before.state == "Scheduled"
    result = await carried_out(client, run_id, operate.attention)
    assert result.done and result.message == "attention g: – → a blurred label"
    assert [(row["what"], row["now"]) for row in result.rows] == [("g", "a blurred label")]
    assert await verb_result(client, run_id) == result


async def test_what_is_refused_says_why_without_a_class_or_a_traceback(
    client: PrefectClient,
) -> None:
    run_id = await start_verb(client, "skip", {"by": "ib", "guid": "g", "stage": "laod"})
    result = await carried_out(client, run_id, operate.skip)
    assert result.ended and not result.done
    assert result.message.startswith("stage: no stage 'laod'")
    assert "did you mean 'load'" in result.message and result.rows == ()


async def test_a_verb_that_is_none_and_parameters_that_are_none_start_nothing(
    client: PrefectClient,
) -> None:
    with pytest.raises(CannotDo, match="verb: no 'atention'; did you mean 'attention'"):
        await start_verb(client, "atention", {"by": "ib"})
    with pytest.raises(CannotDo, match="guid"):
        await start_verb(client, "attention", {"by": "ib"})


async def test_what_the_server_has_deployed_is_known_with_its_parameters(
    client: PrefectClient,
) -> None:
    known = {verb.name: verb for verb in await read_verbs(client)}
    assert {"attention", "skip"} <= known.keys()
    assert known["skip"].help.startswith("Leave one stage of one asset out")
    assert known["skip"].parameter("guid").help == "the asset"
    assert [each.name for each in known["skip"].parameters if each.required] == [
        "by", "guid", "stage",
    ]  # fmt: skip


async def test_asked_twice_with_one_key_or_with_a_lost_answer_it_is_one_run(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, key = {"by": "ib", "guid": "g"}, str(uuid4())
    first = await start_verb(client, "attention", given, key=key)
    assert await start_verb(client, "attention", given, key=key) == first
    assert await start_verb(client, "attention", given) != first
    made, create = [], client.create_flow_run_from_deployment

    async def loses_the_first_answer(*args: object, **named: object) -> object:
        made.append(await create(*args, **named))  # type: ignore[arg-type]
        if len(made) == 1:
            raise httpx.ReadError("gone")
        return made[-1]

    monkeypatch.setattr(client, "create_flow_run_from_deployment", loses_the_first_answer)
    assert await start_verb(client, "attention", given) == made[0].id == made[1].id


async def test_while_prefect_is_away_whoever_waits_goes_on_waiting(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await start_verb(client, "attention", {"by": "ib", "guid": "g"})
    read, away = client.read_flow_run, iter([True, True])
    told: list[str] = []

    async def is_away_at_first(asked: UUID) -> object:
        if next(away, False):
            raise httpx.ConnectError("refused")
        return await read(asked)

    monkeypatch.setattr(client, "read_flow_run", is_away_at_first)
    waiting = asyncio.create_task(await_verb(client, run_id, progress=told.append))
    async with asyncio.timeout(60):
        while told[-1:] != ["Scheduled"]:
            await asyncio.sleep(0.01)
    run = await read(run_id)
    await run_flow(operate.attention, flow_run=run, parameters=run.parameters, return_type="state")
    assert (await waiting).done and told[0] == "Prefect is away"
