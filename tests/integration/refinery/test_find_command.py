"""`refinery find` and `refinery show` give at a terminal what the board shows."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from refinery import cli
from refinery import find as module
from tests.support.at_site import kill, start
from tests.support.world import World, new

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "clean", "run": "module clean", "needs": "ingest"},
    ],
}


@pytest.fixture
async def world(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(*(new(f"s-{n}") for n in range(60)))
    await made.describe("s-7", barcode=["=NHMD-7"], collection="Entomology")
    monkeypatch.setattr(module, "of_running", lambda _: SimpleNamespace(database=database))
    monkeypatch.chdir(tmp_path)
    return made


def run(*words: str) -> str:
    """What the command writes; it runs a loop of its own, beside the test's."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as alone:
        done = alone.submit(CliRunner().invoke, cli.app, words).result()
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_each_form_has_the_same_answer(world: World) -> None:
    table = run("find", "--collection", "ento")
    assert "s-7" in table and "Entomology" in table and "1 found; shown 1" in table
    (found,) = json.loads(run("find", "=NHMD-7", "--format", "json"))
    assert (found["guid"], found["barcodes"]) == ("s-7", ["=NHMD-7"])
    (row,) = csv.DictReader(io.StringIO(run("find", "--barcode", "=nhmd-7", "--format", "csv")))
    assert row["barcodes"] == "'=NHMD-7"
    assert "60 found; shown 50; --all" in run("find")
    assert len(run("find", "--all").splitlines()) == 60
    every = [json.loads(line) for line in run("find", "--all", "--format", "json").splitlines()]
    assert len({each["guid"] for each in every}) == 60


async def test_one_specimen_is_shown_in_each_form(world: World) -> None:
    shown = run("show", "s-7")
    assert "Entomology" in shown and "ingest" in shown and "ready" in shown
    assert json.loads(run("show", "s-7", "--format", "json"))["state"] == "underway"
    row, _ = csv.DictReader(io.StringIO(run("show", "s-7", "--format", "csv")))
    assert (row["stage"], row["state"]) == ("ingest", "ready")


async def test_what_was_printed_is_shown_of_a_try_that_was_killed(world: World) -> None:
    (ingest,) = await world.claim(guid="s-7")
    await world.finish(ingest)
    (clean,) = await world.claim(guid="s-7")
    attempt = await world.enqueue(clean.job_id, "alpha")
    await start(world, attempt)
    await kill(world, attempt, "no label")
    assert "clean, attempt 1 at alpha as n1, failed, printed last:\nno label\n" in run(
        "show", "s-7"
    )
    assert "printed" not in run("show", "s-8")


async def test_what_is_wrong_is_said_with_its_remedy(world: World) -> None:
    with pytest.raises(ValueError, match="came_from: 'soon' is no day: write it as 2026-11-28"):
        run("find", "--came-from", "soon")
    with pytest.raises(ValueError, match="there is no specimen 's-'; near by are s-0"):
        run("show", "s-")
