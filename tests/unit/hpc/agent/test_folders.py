"""A batch's folder is laid out as the runner reads it, and no secret stays in it."""

import json
import os
import time

import pytest

from hpc.agent.files import UnsafeName, inside, plain_name, write_whole
from hpc.agent.folders import BadBatch
from tests.support.agent_site import AgentSite, batch_given


def test_it_lies_as_the_runner_reads_it_with_the_agents_own_root(site: AgentSite) -> None:
    site.claim("b1", ["g1", "g2"])
    folder = site.folders.of("b1")
    lines = [json.loads(row) for row in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [line["root"] for line in lines] == [site.config.root] * 2
    assert (folder / "tokens").read_text() == "secret-1\nsecret-2\n"
    assert len((folder / "grants.jsonl").read_text().splitlines()) == 2
    assert {entry.name for entry in folder.iterdir() if entry.is_dir()} == {
        *("results", "log", "ended", "started")
    }


def test_only_its_owner_reads_what_is_secret_in_it(site: AgentSite) -> None:
    site.claim("b1", ["g1"])
    folder = site.folders.of("b1")
    for name in ("tokens", "grants.jsonl"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_the_same_batch_again_leaves_what_jobs_left(site: AgentSite) -> None:
    given = batch_given("b1", ["g1"])
    first = site.folders.write_batch(given)
    (site.folders.of("b1") / "results" / "1.json").write_text("{}")
    assert site.folders.write_batch(given) == first
    assert (site.folders.of("b1") / "results" / "1.json").exists()


def test_without_grants_there_is_no_file_of_them(site: AgentSite) -> None:
    batch = site.claim("b1", ["g1"], granted=False, callback="https://refinery.example.org")
    assert not (site.folders.of("b1") / "grants.jsonl").exists()
    assert (batch.granted, batch.offline) == (False, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "../b1"},
        {"key": ".."},
        {"key": "b/1"},
        {"runner": "../../x"},
        {"members": []},
        {"launcher": "magic"},
        {"units": None},
    ],
)
def test_what_is_no_batch_writes_nothing(site: AgentSite, wrong: dict[str, object]) -> None:
    with pytest.raises(BadBatch):
        site.folders.write_batch({**batch_given("b1", ["g1"]), **wrong})
    assert list(site.folders.batches.iterdir()) == []


def test_a_guid_that_leads_elsewhere_is_none(site: AgentSite) -> None:
    with pytest.raises(BadBatch):
        site.folders.write_batch(batch_given("b1", ["../../etc"]))


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\n", "/a", "x" * 300])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(UnsafeName):
        plain_name(name)


@pytest.mark.parametrize("name", ["", "../x", "a/../../x", "/etc/passwd", "a//b", "./a"])
def test_a_path_that_leads_out_is_refused(site: AgentSite, name: str) -> None:
    with pytest.raises(UnsafeName):
        inside(site.folders.assets, name)


def test_of_a_batch_that_went_well_nothing_stays(site: AgentSite) -> None:
    site.claim("b1", ["g1"])
    site.folders.forget("b1", well=True)
    site.folders.forget("b1", well=True)
    assert not site.folders.of("b1").exists()


def test_of_one_that_did_not_its_logs_stay_and_no_token(site: AgentSite) -> None:
    site.claim("b1", ["g1"])
    folder = site.folders.of("b1")
    (folder / "log" / "0.log").write_text("what happened")
    site.folders.forget("b1", well=False)
    assert {entry.name for entry in folder.iterdir()} == {"log", "results"}
    assert (folder / "log" / "0.log").read_text() == "what happened"


def test_what_a_kill_left_is_swept_and_what_is_held_is_not(site: AgentSite) -> None:
    for key in ("b1", "b2", "b3"):
        site.claim(key, ["g1"])
    old = time.time() - 15 * 86_400
    os.utime(site.folders.of("b3"), (old, old))
    site.folders.sweep(["b1"])
    assert (site.folders.of("b1") / "tokens").exists()
    assert not (site.folders.of("b2") / "tokens").exists()
    assert not site.folders.of("b3").exists()


def test_a_file_is_there_whole_or_not_at_all(site: AgentSite) -> None:
    path = site.home / "x"
    write_whole(path, "first")
    path.with_name(f".x.{os.getpid()}").write_text("left by a kill")
    write_whole(path, "second", 0o600)
    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
