"""How a script's job stands by what is shown of the ids that were told for it."""

import pytest

from hpc.ends import Meaning
from hpc.scheduler import by_id
from hpc.sites.slurm.judge import JobVerdict, SiteStatus
from hpc.sites.slurm.script_ends import judge, patience_s
from track.jobs.scripts import ScriptRun, reported_ids, submitted_ids


def run(*native_ids: str, cancelled: bool = False, started: bool = True) -> ScriptRun:
    return ScriptRun(1, "g", native_ids, started, cancelled, age_s=0.0, expected_s=None)


def end_of(verdict: JobVerdict) -> Meaning:
    assert verdict.end is not None
    return verdict.end


def queue(*lines: str, ids: tuple[str, ...]) -> by_id.Shown:
    shown = by_id.read_queue(0, lines, "", ids)
    assert shown is not None
    return shown


def test_an_end_counts_only_when_every_job_that_was_reported_has_ended() -> None:
    ids = ("77", "78")
    dead, alive = "77|77|N/A|CANCELLED|n1|1000|x", "78|78|N/A|RUNNING|n1|1000|x"
    assert judge(run(*ids), queue(dead, alive, ids=ids)).status is SiteStatus.RUNNING
    assert judge(run(*ids), queue(dead, ids=ids)).status is SiteStatus.UNKNOWN
    over = judge(run(*ids), queue(dead, alive.replace("RUNNING", "COMPLETED"), ids=ids))
    assert (over.status, end_of(over).outcome, end_of(over).uses_try) == (
        SiteStatus.OVER,
        "cancelled",
        False,
    )


def test_an_array_is_over_with_its_last_task_and_a_task_is_found_by_either_name() -> None:
    lines = ("80|80|1|FAILED|n1|1000|x", "81|80|0|COMPLETED|n1|1000|x")
    over = judge(run("80"), queue(*lines, ids=("80",)))
    assert (end_of(over).outcome, end_of(over).why) == (
        "failed",
        "it failed before it called back (job 80_1 on n1)",
    )
    for name in ("81", "80_0"):
        assert end_of(judge(run(name), queue(*lines, ids=(name,)))).outcome == "lost"
    waiting = "80|80|0-1|PENDING||1000|x"
    assert judge(run("80"), queue(waiting, ids=("80",))).status is SiteStatus.PENDING


def test_what_is_no_schedulers_id_is_not_asked_for() -> None:
    assert judge(run("mock_id"), {}).status is SiteStatus.UNKNOWN


def test_one_job_that_the_queue_does_not_show_is_absent_and_any_other_error_is_no_answer() -> None:
    absent = "slurm_load_jobs error: Invalid job id specified"
    assert by_id.read_queue(1, [], absent, ["77"]) == {"77": ()}
    assert by_id.read_queue(1, [], "slurm_load_jobs error: Unable to contact", ["77"]) is None
    assert by_id.read_queue(0, ["77|cut"], "", ["77"]) is None


@pytest.mark.parametrize(("word", "code"), [("FAILED", 3), ("NODE_FAIL", 0)])
def test_accounting_knows_what_the_queue_forgot(word: str, code: int) -> None:
    shown = by_id.read_accounting(0, [f"77|77|{word}|{code}:0|n1|1000|x"], "", ["77"])
    assert shown is not None
    over = judge(run("77"), shown)
    assert (over.status, end_of(over).uses_try) == (SiteStatus.OVER, word == "FAILED")


def test_a_job_that_has_not_started_may_wait_in_the_queue_for_an_hour() -> None:
    short = ScriptRun(1, "g", (), True, False, age_s=0.0, expected_s=60)
    assert patience_s(short) == 60
    assert patience_s(ScriptRun(1, "g", (), False, False, age_s=0.0, expected_s=60)) == 3600


def test_the_ids_a_script_said_are_those_of_sbatch() -> None:
    said = "Submitted batch job 77\nhello\nSubmitted batch job 78\nSubmitted batch job 77\n"
    assert submitted_ids(said) == ["77", "78"]
    assert reported_ids("77,78") == {"77", "78"}
    assert reported_ids("script b12") == reported_ids(None) == frozenset()


def test_a_job_submitted_after_its_id_was_reported_is_anothers_unless_it_was_requeued() -> None:
    ids = ("77", "78")
    shown = queue("77|77|N/A|RUNNING|n1|900|x", "78|78|N/A|RUNNING|n1|2000|a|b", ids=ids)
    told = {"77": 1000.0, "78": 1000.0}
    assert by_id.submitted_later(shown, told) == {"78"}
    assert judge(run("78"), by_id.without(shown, {"78"})).status is SiteStatus.UNKNOWN
    assert by_id.read_restarted(["77  |0  |", "78  |1  |", "Slurm is slow today"]) == {"78"}


def test_of_jobs_that_had_one_id_accounting_shows_the_one_that_was_reported() -> None:
    lines = [
        "77|77|NODE_FAIL|0:0|n1|900|mine",
        "77|77|COMPLETED|0:0|n1|1500|mine",
        "77|77|FAILED|1:0|n1|2000|others",
    ]
    shown = by_id.read_accounting(0, lines, "", ["77"], {"77": 1000.0})
    assert shown is not None
    assert [task.state.name for task in shown["77"]] == ["COMPLETED"]
    shown = by_id.read_accounting(0, lines[2:], "", ["77"], {"77": 1000.0})
    assert shown == {"77": []}
