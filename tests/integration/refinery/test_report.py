"""A report at a terminal: the same figures as a table, JSON and CSV."""

import csv
import io
import json

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.report import ask, written
from tests.support.world import HERE, World, new
from track.jobs.attempts import close_attempt
from track.reports import days
from track.schema.database import transact

PIPELINE: dict[str, object] = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}


async def test_a_session_is_reported_as_a_table_json_and_csv(
    engine: AsyncEngine, database: str
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g1"), new("g2"))
    (first, _) = await world.claim()
    attempt = await world.enqueue(first.job_id, HERE.name)
    await transact(engine, close_attempt, attempt, "done", seconds=3.5, cpu_s=2, max_rss_mb=10)
    report = await ask(database, str(world.session_id))

    rows = list(csv.DictReader(io.StringIO(str(written(report, "csv")))))
    lines = json.loads(str(written(report, "json")))
    assert [row["figure"] for row in rows] == [line["figure"] for line in lines]
    figures = {(line["stage"], line["figure"]): line["value"] for line in lines}
    assert figures["", "images received"] == 2
    assert figures["load", "seconds, mean"] == figures["load", "seconds in all"] == 3.5
    assert ("load", "seconds in the queue, mean") not in figures, "nobody said when it started"

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(written(report, "table"))
    text = console.export_text()
    assert "images received" in text and "P/load" in text and "3.5 (3.5 to 3.5)" in text


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("last week", "neither a session nor a day nor a month"),
        ("2026-00", "in no calendar"),
        ("00000000-0000-0000-0000-000000000000", "there is no session"),
    ],
)
async def test_what_cannot_be_reported_is_refused_with_what_to_say(
    engine: AsyncEngine, database: str, what: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        await ask(database, what)


async def test_a_day_without_anything_is_a_report_of_nothing(
    engine: AsyncEngine, database: str
) -> None:
    report = await ask(database, "2020-02-29")
    assert (report.received.images, report.waiting, report.persons, report.stages) == (0, 0, 0, [])
    assert report.ends == days.days(days.date_of(report.begins), days.date_of(report.begins)).ends
    assert "images received" in str(written(report, "csv"))
