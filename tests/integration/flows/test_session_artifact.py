"""What Prefect shows of a session: its numbers, and every specimen of a small one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.quarantine import QuarantineEntry
from tasks.dispatch import reports
from tasks.dispatch.reports import SessionReport, artifact_key
from tests.support.world import World, new
from track.commands.assets import quarantine_all
from track.jobs import verbs
from track.records.sessions import SessionName, name_of
from track.schema.database import transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
ATTENTION = "UPDATE track.asset SET attention = 'two sheets of one barcode' WHERE guid = 'g0010'"


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    return await World.make(engine, PIPELINE)


def report_of(world: World) -> SessionReport:
    dispatcher: Any = SimpleNamespace(session_id=world.session_id, engine=world.engine)
    return SessionReport(dispatcher)


@flow(name="showing", validate_parameters=False)
async def show(report: SessionReport) -> None:
    """Artifacts are written by runs of flows."""
    await report.show()


async def artifacts(world: World) -> list[Any]:
    """All that were written of the session, the newest first."""
    key = ArtifactFilter(key=ArtifactFilterKey(any_=[artifact_key(await name(world))]))
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=key, sort=ArtifactSort.CREATED_DESC)
    return [each for each in found if str(world.session_id) in str(each.data)]


async def name(world: World) -> SessionName:
    return await transact(world.engine, name_of, world.session_id)


def after_heading(page: str) -> str:
    """A page from its numbers on."""
    return page[page.index(" assets: ") :]


async def test_a_session_of_a_thousand_assets_is_shown_in_numbers_and_those_with_a_person(
    world: World,
) -> None:
    await world.register(*(new(f"g{n:04}") for n in range(1000)))
    bad, broken, done, at_site, claimed = await world.claim(limit=5)
    who: Any = {"dispatcher_id": world.dispatcher_id, "actor": "test"}
    entry = QuarantineEntry("g0000.tif", "is cut short", "scan it again")
    await transact(world.engine, quarantine_all, {bad.job_id: entry}, **who)
    failed = {"actor": "test", "why": "the label | is blurred"}
    await transact(world.engine, verbs.end, broken.job_id, State.FAILED, **failed)
    await world.finish(done)
    await world.enqueue(at_site.job_id, "here")
    await world.sql(ATTENTION)
    await world.sql("UPDATE track.asset SET finalised_at = now() WHERE guid = 'g0999'")
    report = report_of(world)
    await show(report)
    (shown,) = await artifacts(world)
    assert shown.type == "markdown"
    assert shown.description == f"{await name(world)}: where it stands"
    assert shown.data.startswith(f"## {await name(world)}\n\n")
    assert after_heading(shown.data).splitlines() == [
        " assets: 1 finalised, 1 quarantined; 3 need a person",
        "",
        "| pipeline | assets | finalised | quarantined |",
        "| --- | --- | --- | --- |",
        "| P | 1,000 | 1 | 1 |",
        "",
        "| pipeline | stage | waiting | ready | claimed | queued | done | failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| P | load |  | 995 | 1 | 1 | 1 | 2 |",
        "| P | ocr | 998 | 1 |  |  |  | 1 |",
        "",
        "### Needs a person",
        "",
        "| specimen | file | state | stage | reason |",
        "| --- | --- | --- | --- | --- |",
        f"| {bad.guid} | {bad.guid} | quarantined | load | {entry} |",
        f"| {broken.guid} | {broken.guid} | failed | load | the label \\| is blurred |",
        "| g0010 | g0010 | attention |  | two sheets of one barcode |",
    ]
    await world.finish(claimed)
    await show(report)
    (again,) = await artifacts(world)
    assert again.id == shown.id
    assert "| P | load |  | 995 | 1 | 2 | 2 |" in again.data


async def test_no_more_than_two_hundred_are_listed_that_need_a_person(world: World) -> None:
    await world.register(*(new(f"g{n:04}") for n in range(1000)))
    await world.sql(
        "UPDATE track.job SET state = 'failed', reason = 'the disk is full'"
        " WHERE stage_id = (SELECT id FROM track.stage WHERE key = 'load')"
    )
    await show(report_of(world))
    (shown,) = await artifacts(world)
    assert "\n\n1,000 assets: 0 finalised, 0 quarantined; 1,000 need a person\n" in shown.data
    assert shown.data.count("| failed | load | the disk is full |") == 200
    assert shown.data.endswith("\n\n… and 800 more.\n")


async def test_a_session_that_grows_large_is_not_listed_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LISTED", 2)
    monkeypatch.setenv(reports.BOARD, "http://board:8300")
    await world.register(new("g1"), new("g2"))
    report = report_of(world)
    await show(report)
    (page,) = await artifacts(world)
    assert f"[the session](http://board:8300/sessions/{world.session_id})" in page.data
    for guid in ("g1", "g2"):
        assert f"| [{guid}](http://board:8300/specimens/{guid}) | ready | load |" in page.data
    await world.register(new("g3"))
    await show(report)
    (later,) = await artifacts(world)
    assert (later.id, later.type) == (page.id, "markdown")
    assert "\n\n3 assets: " in later.data and "### Specimens" not in later.data
