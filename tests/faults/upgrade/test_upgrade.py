"""An upgrade with work in flight: the former release is stopped, the present one goes on."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.support.stack import ROOT
from tests.support.upgrade_play import Play, upgraded

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    with upgraded(tmp_path_factory.mktemp("upgrade")) as played:
        yield played


def test_every_specimen_ended_once_and_no_job_was_made_twice(play: Play) -> None:
    known = play.new.rows("SELECT guid, finalised_at, quarantine FROM track.asset")
    assert {row["guid"] for row in known} == {each.guid for each in play.specimens.values()}
    refused = play.guid("refused")
    assert {row["guid"] for row in known if row["finalised_at"] is None} == {refused}
    mine = [job for job in play.after.jobs if job["guid"] != refused]
    assert {job["state"] for job in mine} == {"done"}
    assert max(Counter((job["guid"], job["stage"]) for job in play.after.jobs).values()) == 1
    assert {job["tries"] for job in mine} == {0}
    ended = Counter(
        row["guid"]
        for row in play.new.rows("SELECT asset_guid AS guid FROM track.history"
                                 " WHERE what = 'job.state' AND new = 'done'")
    )  # fmt: skip
    assert ended == Counter(job["guid"] for job in mine)
    created = play.new.archive_rows(
        "SELECT asset_guid, event FROM ars.event WHERE event LIKE 'CREATE%%'"
    )
    assert set(Counter((row["asset_guid"], row["event"]) for row in created).values()) == {1}
    assert play.new.shared() == set()


def test_what_was_at_work_on_this_machine_is_done_again_and_used_no_try(play: Play) -> None:
    attempts = attempts_of(play)
    assert all(each["closed_at"] for each in attempts)
    done = Counter(each["job_id"] for each in attempts if each["outcome"] == "done")
    assert set(done.values()) == {1}
    others = {each["id"]: each["outcome"] for each in attempts if each["outcome"] != "done"}
    ran = {
        job["attempt"]
        for job in play.before.jobs
        if (job["stage"], job["state"]) == ("here", "running")
    }
    assert set(others) == ran and set(others.values()) == {"lost"}


def test_a_runner_that_ended_while_nobody_was_there_is_believed(play: Play) -> None:
    (attempt,) = (each for each in attempts_of(play) if each["id"] == play.through)
    assert (attempt["outcome"], attempt["agent_id"]) == ("done", play.agent)


def test_an_agent_of_the_former_release_goes_on_with_its_token(play: Play) -> None:
    there = [each for each in attempts_of(play) if each["site"] == "far"]
    assert {each["agent_id"] for each in there} == {play.agent}
    after = [each for each in there if each["id"] not in {j["attempt"] for j in play.before.jobs}]
    assert len(after) >= 1


def test_the_history_and_what_an_operator_said_are_kept(play: Play) -> None:
    written = len(play.before.history)
    assert play.after.history[:written] == play.before.history
    assert play.at_start.state(play.guid("switched"), "later") == "ready"
    said = [each for each in play.after.history if each["actor"] == "operator:t"]
    assert {each["what"] for each in said} >= {"asset.attention"}
    third = play.guid("third")
    assert play.at_start.state(third, "finalise") != "done"


def test_a_refused_specimen_stays_refused(play: Play) -> None:
    closed = play.paths["ended"].with_name("imported_ended")
    assert play.guid("refused") in (closed / "QUARANTINE.txt").read_text()
    assert play.after.state(play.guid("refused"), "ingest") == "failed"


def test_prefect_has_what_this_release_deploys_and_asks_who_one_is(play: Play) -> None:
    written = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    names = {each["name"] for each in written}
    assert {each.partition("/")[2] for each in play.after.deployments} == names
    assert play.before.deployments < play.after.deployments
    pace = play.new.prefect.deployment("dispatch/session")["parameters"]["pace"]
    assert pace == written[0]["parameters"]["pace"]
    assert play.before.runs.keys() <= play.after.runs.keys()
    since = {id_: state for id_, state in play.after.runs.items() if id_ not in play.before.runs}
    assert since and not {"FAILED", "CRASHED"} & {*since.values()}
    asked = httpx.post(f"{play.new.addresses.prefect_api}/flow_runs/count", json={}, timeout=60)
    assert asked.status_code == 401


def test_find_and_the_hours_know_what_was_there_before(play: Play) -> None:
    new, old = play.new, play.specimens["done"]
    new.prefect.run("reconcile/every-minute")
    new.until(lambda: not new.rows("SELECT FROM track.search_fill"), "Find knows older specimens")
    found = new.refinery("find", "--barcode", old.barcodes[0], "--format", "csv")
    assert old.guid in found.stdout, found.stderr
    assert {row["asset_guid"] for row in new.rows("SELECT asset_guid FROM track.search")} == {
        each.guid for each in play.specimens.values()
    }
    (hours,) = new.rows("SELECT sum(images) AS i, sum(archived) AS a FROM track.asset_hour")
    assert (hours["i"], hours["a"]) == (len(play.specimens), len(play.specimens) - 1)
    used = new.rows("SELECT sum(seconds_n) AS n FROM track.usage_hour")[0]["n"]
    assert used == len([e for e in attempts_of(play) if e["seconds"] is not None])


def attempts_of(play: Play) -> list[dict[str, Any]]:
    return play.new.rows("SELECT * FROM track.attempt ORDER BY id")
