"""The sample session's eight specimens, from the N-Drive to the end each was made for."""

import io
import json
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from PIL import Image

from demo.judgement import differences, end_of
from demo.specimens.sessions import (
    DIGITISER,
    PLANS,
    SHARED_LABEL,
    Expectation,
    SpecimenEnd,
    write_sample_session,
)
from schemas.quarantine import sentence
from tests.support.stack import ROOT, Stack
from track.schema.states import MOVES, State

pytestmark = pytest.mark.timeout(900)  # seconds, for the first test waits for them all
INSTITUTION, COLLECTION = "NHMD", "Vascular plants"
PPI_OF = dict(enumerate(plan.ppi for plan in PLANS))
STANDING = """
    SELECT a.guid, a.file_name, a.parent_guid, a.subject, a.quarantine, a.attention, a.ppi,
           a.finalised_at IS NOT NULL AS finalised, d.body,
           coalesce(d.body -> 'barcode', '[]') AS barcodes
    FROM track.asset a LEFT JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE a.session_id = %(session)s
"""
JOBS = """
    SELECT j.id, j.asset_guid AS guid, s.key, s.kind, j.state, j.reason, j.attempt_id
    FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id WHERE a.session_id = %(session)s
"""
STORY = """
    SELECT old, new FROM track.history WHERE job_id = %(job)s AND what = 'job.state' ORDER BY id
"""
FLAGS = {
    "jobs_status": "DONE",
    "is_in_ars": "YES",
    "hpc_ready": "NO",
    "has_new_file": "NO",
    "has_open_share": "NO",
    "erda_sync": "YES",
    "update_metadata": "NO",
    "available_for_services": "YES",
}


@dataclass(frozen=True)
class Original:
    """A file as the workstation left it."""

    name: str
    content: bytes

    @property
    def stem(self) -> str:
        return Path(self.name).stem


@dataclass
class Road:
    """The session after its end, and what it was made to contain."""

    stack: Stack
    path: Path
    session: UUID
    expected: dict[str, Expectation]
    originals: list[Original]

    @cached_property
    def assets(self) -> dict[str, dict[str, Any]]:
        rows = self.stack.rows(STANDING, session=self.session)
        stages = {row["guid"]: [j for j in self.jobs if j["guid"] == row["guid"]] for row in rows}
        return {row["guid"]: row | {"stages": stages[row["guid"]]} for row in rows}

    @cached_property
    def jobs(self) -> list[dict[str, Any]]:
        return self.stack.rows(JOBS, session=self.session)

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """The dispatch runs of this session, once their end is recorded."""

        def ended() -> bool:
            runs = self.stack.prefect.runs_of("session", self.session)
            return all(run["state_type"] not in ("RUNNING", "PENDING") for run in runs)

        self.stack.until(ended, "the dispatch run's end")
        return self.stack.prefect.runs_of("session", self.session)

    @cached_property
    def subflows(self) -> list[dict[str, Any]]:
        return [sub for run in self.runs for sub in self.stack.prefect.subflows_of(run["id"])]

    @property
    def closed(self) -> Path:
        """Where the folder lies since its end."""
        return self.path.with_name(f"imported_{self.path.name}")

    def good(self) -> dict[str, Expectation]:
        return {g: e for g, e in self.expected.items() if e.end is SpecimenEnd.FINALISED}

    def bad(self) -> dict[str, Expectation]:
        return {g: e for g, e in self.expected.items() if e.end is SpecimenEnd.QUARANTINED}

    def children(self, guid: str) -> list[dict[str, Any]]:
        """An asset's derivatives, the finest first."""
        found = [row for row in self.assets.values() if row["parent_guid"] == guid]
        return sorted(found, key=lambda row: -row["ppi"])

    def states(self, guid: str) -> dict[str, str]:
        return {row["key"]: row["state"] for row in self.jobs if row["guid"] == guid}

    def image(self, guid: str) -> Original:
        (found,) = [o for o in self.originals if o.stem == guid and not o.name.endswith(".json")]
        return found

    def in_erda(self, guid: str) -> dict[str, bytes]:
        """An asset's archived files by name."""
        folder = self.stack.erda / INSTITUTION / COLLECTION / guid
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def in_ars(self, guid: str) -> Any:
        return self.stack.archived(f"assetmetadata/{guid}")


@pytest.fixture(scope="module")
def road(stack: Stack) -> Road:
    drawn = write_sample_session(stack.settings.n_drive, now=datetime.now().astimezone(), seed=7)
    originals = [Original(p.name, p.read_bytes()) for p in sorted(drawn.path.iterdir())]
    session = stack.follow(drawn.path)
    return Road(stack, drawn.path, session, dict(drawn.expectations), originals)


def test_every_specimen_ends_as_it_should(road: Road) -> None:
    ends = {guid: end_of(road.assets[guid]) for guid in road.expected}
    assert ends == {guid: str(wanted.end) for guid, wanted in road.expected.items()}
    assert Counter(ends.values()) == {"finalised": 6, "quarantined": 2}


def test_subjects_barcodes_and_derivatives_are_those_on_the_sheets(road: Road) -> None:
    for guid, wanted in road.expected.items():
        made = [child["ppi"] for child in road.children(guid)]
        assert list(differences(road.assets[guid], made, wanted)) == []


def test_erda_holds_each_original_byte_for_byte(road: Road) -> None:
    for guid in road.good():
        original = road.image(guid)
        ((name, archived),) = road.in_erda(guid).items()
        assert (name, len(archived)) == (original.name, len(original.content))
        assert zlib.crc32(archived) == zlib.crc32(original.content)


def test_the_archive_serves_the_same_bytes_over_http(road: Road) -> None:
    guid = next(iter(road.good()))
    original = road.image(guid)
    path = f"files/assets/{INSTITUTION}/{COLLECTION}/{guid}/{original.name}"
    assert road.stack.archived_bytes(path) == original.content


def test_the_archive_knows_what_the_sheets_say(road: Road) -> None:
    for guid, wanted in road.good().items():
        asset = road.in_ars(guid)
        pids = [f"{INSTITUTION}.{COLLECTION}.{code}" for code in wanted.barcodes]
        assert [each["specimen_pid"] for each in asset["asset_specimen"]] == pids
        assert asset["asset_subject"] == wanted.subject
        assert asset["multi_specimen"] is wanted.multi_specimen
        assert asset["status"] == "WORKING_COPY"
        assert asset["internal_status"] == "ERDA_SYNCHRONISED"
        assert asset["date_asset_finalised"] is not None


def test_the_archive_holds_the_dates_and_names_of_the_arrived_documents(road: Road) -> None:
    for guid in road.good():
        (document,) = [o for o in road.originals if o.name == f"{guid}.json"]
        arrived = json.loads(document.content)
        asset = road.in_ars(guid)
        taken = datetime.fromisoformat(asset["date_asset_taken"])
        assert taken == datetime.fromisoformat(arrived["date_asset_taken"])
        for theirs, ours in {
            "workstation": "workstation_name",
            "pipeline": "pipeline_name",
        }.items():
            assert asset[theirs] == arrived[ours]


def test_danish_letters_arrive_as_they_were_typed(road: Road) -> None:
    assert {"ø", "Æ"} <= set(DIGITISER)
    for guid in road.assets.keys() - road.bad().keys():
        asset = road.in_ars(guid)
        assert asset["digitiser"] == DIGITISER
        assert asset["tags"] == road.assets[guid]["body"]["tags"]


def test_sheets_of_one_object_are_linked_and_no_others(road: Road) -> None:
    members = {
        row["asset_guid"]: row
        for row in road.stack.rows(
            "SELECT * FROM mos.member WHERE asset_guid = ANY(%(guids)s)", guids=list(road.expected)
        )
    }
    assert members.keys() == road.good().keys()
    for guid, wanted in road.good().items():
        label = members[guid]["unique_label_id"]
        same = {g for g, m in members.items() if label and m["unique_label_id"] == label}
        assert same - {guid} == set(wanted.links)
        assert members[guid]["disposable_id"] == wanted.disposable


def test_a_label_sheet_lists_the_code_of_the_specimen_it_belongs_to(road: Road) -> None:
    (guid,) = [g for g, wanted in road.good().items() if wanted.subject == "label"]
    (specimen,) = road.expected[guid].links
    (code,) = road.expected[specimen].barcodes
    assert road.assets[guid]["barcodes"] == [code]
    named = [each["specimen_pid"] for each in road.in_ars(guid)["asset_specimen"]]
    assert named == [f"{INSTITUTION}.{COLLECTION}.{code}"]
    assert sum(plan.link == SHARED_LABEL for plan in PLANS) == 2


def test_each_specimen_has_a_400_ppi_tiff_and_a_72_ppi_jpeg_of_the_right_size(road: Road) -> None:
    for n, (guid, wanted) in enumerate(road.expected.items()):
        children = road.children(guid)
        assert tuple(child["ppi"] for child in children) == wanted.derivatives
        for child, file_format in zip(children, ("TIFF", "JPEG"), strict=False):
            original = Image.open(io.BytesIO(road.image(guid).content))
            (content,) = road.in_erda(child["guid"]).values()
            with Image.open(io.BytesIO(content)) as made:
                made.load()
                scale = min(1.0, child["ppi"] / PPI_OF[n])
                assert made.format == file_format
                for was, now in zip(original.size, made.size, strict=True):
                    assert now == pytest.approx(was * scale, rel=0.01)
                wanted_ppi = PPI_OF[n] * scale
                assert made.info["dpi"] == pytest.approx((wanted_ppi, wanted_ppi), rel=0.01)


def test_a_derivative_names_its_parent_its_specimens_and_its_kind_in_the_archive(
    road: Road,
) -> None:
    for guid in road.good():
        for child, kind in zip(road.children(guid), ("image", "thumbnail"), strict=False):
            asset = road.in_ars(child["guid"])
            assert asset["parent_guids"] == [guid]
            specimens = [each["specimen_pid"] for each in asset["asset_specimen"]]
            assert specimens == [
                each["specimen_pid"] for each in road.in_ars(guid)["asset_specimen"]
            ]
            assert asset["payload_type"] == kind
            assert asset["internal_status"] == "ERDA_SYNCHRONISED"


def test_no_share_is_left_open(road: Road) -> None:
    assert road.stack.shared() & road.assets.keys() == set()


def test_the_folder_is_renamed_and_its_note_names_the_two_and_no_others(road: Road) -> None:
    assert not road.path.exists()
    note = (road.closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert {guid for guid in road.expected if guid in note} == road.bad().keys()
    for row in (road.assets[guid] for guid in road.bad()):
        assert all(part in note for part in row["quarantine"].values())


def test_originals_stay_on_the_n_drive_untouched(road: Road) -> None:
    there = {p.name: p.read_bytes() for p in road.closed.iterdir() if p.name != "QUARANTINE.txt"}
    assert there == {original.name: original.content for original in road.originals}


def test_the_quarantined_never_reach_the_archive(road: Road) -> None:
    for guid in road.bad():
        assert not (road.stack.erda / INSTITUTION / COLLECTION / guid).exists()
        assert set(road.states(guid).values()) == {"failed"}


def test_a_device_target_skips_its_excluded_stages_and_has_no_derivatives(road: Road) -> None:
    (guid,) = [g for g, wanted in road.good().items() if wanted.subject == "device target"]
    excluded = {key for key, state in road.states(guid).items() if state == "excluded"}
    assert excluded == {"ocr", "cropping", "derivative"}
    assert road.children(guid) == []


def test_the_track_flags_are_those_of_a_finished_asset(road: Road) -> None:
    flags = road.stack.rows(
        "SELECT * FROM track.dassco WHERE _id = ANY(%(guids)s)",
        guids=[guid for guid in road.assets if guid not in road.bad()],
    )
    assert len(flags) == 6 + 10
    for row in flags:
        assert {name: row[name] for name in FLAGS} == FLAGS, row["_id"]


def test_the_archive_saw_each_asset_created_once(road: Road) -> None:
    for guid in road.assets.keys() - road.bad().keys():
        seen = Counter(each["event"] for each in road.in_ars(guid)["events"])
        assert (seen["CREATE_ASSET_METADATA"], seen["CREATE_ASSET"]) == (1, 1)


def test_every_jobs_history_replays_to_its_state(road: Road) -> None:
    for job in road.jobs:
        story = road.stack.rows(STORY, job=job["id"])
        state = State(story[0]["old"])
        assert state in (State.WAITING, State.READY)
        for row in story:
            assert row["old"] == state and State(row["new"]) in MOVES[state]
            state = State(row["new"])
        assert state == job["state"] != State.WAITING


def test_no_attempt_is_left_open_and_none_was_made_twice(road: Road) -> None:
    attempts = road.stack.rows(
        "SELECT job_id, n, outcome, closed_at FROM track.attempt WHERE job_id = ANY(%(jobs)s)",
        jobs=[job["id"] for job in road.jobs],
    )
    assert all(each["closed_at"] for each in attempts)
    modules = {j["id"] for j in road.jobs if j["kind"] == "module" and j["state"] == "done"}
    assert Counter(each["job_id"] for each in attempts) == dict.fromkeys(modules, 1)
    assert {each["outcome"] for each in attempts} == {"done"}


def test_one_dispatch_run_was_created_by_the_automation(road: Road) -> None:
    (run,) = road.runs
    assert run["created_by"]["type"] == "AUTOMATION"
    assert run["created_by"]["display_value"] == "a session is ready"
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Finished")


def test_it_is_named_by_workstation_and_folder_and_tagged_by_its_session(road: Road) -> None:
    (run,) = road.runs
    assert run["name"] == f"dispatch {road.path.parent.name} {road.path.name}"
    assert f"session-{road.session}" in run["tags"]


def test_the_automation_was_triggered_by_the_sessions_own_event(road: Road) -> None:
    (run,) = road.runs
    causes = [
        related["prefect.resource.id"].removeprefix("prefect.event.")
        for event in road.stack.prefect.events("prefect.automation.action.executed")
        if any(
            r["prefect.resource.id"] == f"prefect.flow-run.{run['id']}" for r in event["related"]
        )
        for related in event["related"]
        if related["prefect.resource.role"] == "triggering-event"
    ]
    (ready,) = [
        event
        for event in road.stack.prefect.events("specimen.session.ready")
        if event["payload"]["session"] == str(road.session)
    ]
    assert causes == [ready["id"]]


def test_exactly_one_subflow_ran_per_asset_and_module_stage(road: Road) -> None:
    wanted = {
        f"{job['guid']} {job['key']}"
        for job in road.jobs
        if job["kind"] == "module" and job["state"] == "done"
    }
    ran = Counter(
        f"{guid} {run['parameters']['stage']}"
        for run in road.subflows
        for guid in run["parameters"]["specimens"]
    )
    assert {name: ran[name] for name in wanted} == dict.fromkeys(wanted, 1)


def test_run_names_and_tags_let_a_person_find_asset_pipeline_and_stage(road: Road) -> None:
    keys = {(job["guid"], job["key"]) for job in road.jobs}
    for run in road.subflows:
        shown = run["parameters"]
        guids, stage = shown["specimens"], shown["stage"]
        assert {(guid, stage) for guid in guids} <= keys
        alone, together = f"{guids[0]} {stage}", f"{stage} × {len(guids)}"
        assert run["name"] == (alone if len(guids) == 1 else together)
        assert set(run["tags"]) == {shown["pipeline"], stage}


def test_only_the_quarantined_ingests_show_as_failed_runs_with_the_reason(road: Road) -> None:
    failed = [run for run in road.subflows if run["state_type"] != "COMPLETED"]
    assert {run["parameters"]["stage"] for run in failed} == {"ingest"}
    reasons = {guid: str(sentence(road.assets[guid]["quarantine"])) for guid in road.bad()}
    for run in failed:
        of_these = reasons.keys() & run["parameters"]["specimens"]
        assert of_these
        assert all(reasons.pop(guid) in run["state"]["message"] for guid in of_these)
    assert reasons == {}


def test_one_search_for_a_guid_in_the_logs_tells_its_life_in_order(road: Road) -> None:
    guid = next(g for g, wanted in road.good().items() if wanted.end is SpecimenEnd.FINALISED)
    logs = road.stack.settings.logs.glob("*.log")
    found = [line for log in logs for line in log.read_text("utf-8").splitlines() if guid in line]
    ours = [json.loads(line) for line in sorted(found) if line.startswith('{"time"')]
    life = [(line.get("stage"), line["message"]) for line in ours if line.get("guid") == guid]
    assert life[0] == (None, "registered") and life[-1] == ("finalise", "finalised")
    for stage, state in road.states(guid).items():
        if state != "done":
            continue
        told = [message for each, message in life if each == stage]
        kind = next(row["kind"] for row in road.jobs if row["key"] == stage)
        begins, *between, ends = told
        assert begins == "taken up", (stage, told)
        assert ends in ("done", "it came back: done", "finalised"), (stage, told)
        if kind == "module":
            assert {"start: applied", "complete: applied"} <= set(between), (stage, told)
    firsts = list(dict.fromkeys(stage for stage, _ in life if stage is not None))
    assert firsts[0] == "ingest" and firsts[-1] == "finalise"
    assert firsts.index("create") < firsts.index("assetLoader") < firsts.index("barcode")
    sessions = {line.get("session") for line in ours if line.get("guid") == guid}
    assert sessions - {None} == {str(road.session)}
    shown = road.stack.refinery("logs", "api-clusters").stdout
    assert '{"time"' not in shown and " guid=" in shown


def test_the_sessions_page_lists_every_asset_and_leads_to_the_board(road: Road) -> None:
    assert road.runs
    kind = {"type": {"any_": ["markdown"]}}
    found = road.stack.prefect.all("artifacts", artifacts=kind)
    (page,) = {each["data"] for each in found if f"session `{road.session}`" in each["data"]}
    board = road.stack.addresses.board
    assert f"[the session]({board}/sessions/{road.session})" in page
    line = re.compile(rf"^\| \[(.+?)\]\({re.escape(board)}/specimens/.+?\) \| (\w+) \|", re.M)
    assert dict(line.findall(page.partition("### Specimens")[2])) == {
        guid: "quarantined" if guid in road.bad() else "finalised" for guid in road.assets
    }


def test_every_deployment_of_prefect_yaml_exists_in_the_projects_own_pool(road: Road) -> None:
    written = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    known = road.stack.prefect.all("deployments")
    assert sorted((each["name"], each["entrypoint"]) for each in known) == sorted(
        (each["name"], each["entrypoint"]) for each in written
    )
    pools = {each["name"]: each["work_pool_name"] for each in known}
    assert pools.pop("session") == "refinery-acceptance"
    assert set(pools.values()) == {"refinery-acceptance-housekeeping"}


def test_housekeeping_runs_by_its_schedule(road: Road) -> None:
    mine = {"name": {"any_": ["every-minute"]}}

    def scheduled() -> bool:
        runs = road.stack.prefect.all("flow_runs", deployments=mine)
        return any(run["auto_scheduled"] for run in runs)

    road.stack.until(scheduled, "a scheduled run of reconcile was waited for")
