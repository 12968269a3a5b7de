"""TORQUE as text, against golden answers: of its documents, and of Slurm's wrappers as they ran."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hpc.scheduler import torque
from hpc.scheduler.text import JobSpec

GOLDEN = Path(__file__).parent / "golden" / "torque"
SPEC = JobSpec(
    key="b0123456789ab",
    size=500,
    python="/opt/my python/bin/python",
    runner="../../bin/runner-1.pyz",
    folder="/home/museum/site's/batches/b0123456789ab",
    time_s=300,
    mem_mb=2048,
    cpus=2,
    gpus=1,
    queue="standard",
    account="museum",
    throttle=64,
    prelude=". /etc/profile; module load python/3.11",
)
ERRORS: dict[str, list[str]] = yaml.safe_load((GOLDEN / "errors.yaml").read_text())
BARE = JobSpec("b1", 1, "/usr/bin/python3", "r.pyz", "/b/b1", throttle=9)


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((GOLDEN / name).read_text())
    return [
        pytest.param(case, id=case.get("name") or (case["err"] or case["out"])[-60:])
        for case in found
    ]


@pytest.mark.parametrize("case", cases("submissions.yaml"))
def test_an_answer_of_qsub_has_an_id_or_says_what_to_do(case: Any) -> None:
    answer = torque.read_submission(case["code"], case["out"], case["err"])
    assert (answer.outcome, answer.job_id) == (case["is"], case.get("id", ""))
    assert bool(answer.why) is not bool(answer.job_id)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_answer_that_a_server_of_torque_knows_is_taken_for_what_it_means(kind: str) -> None:
    found = {
        text: torque.read_submission(1, "", f"qsub: submit error ({text} MSG=x)\n").outcome
        for text in ERRORS[kind]
    }
    assert found == dict.fromkeys(ERRORS[kind], kind)


@pytest.mark.parametrize("case", cases("status.yaml"))
def test_an_answer_of_qstat_shows_tasks_and_whether_absence_counts(case: Any) -> None:
    answer = torque.read_status(case["code"], case["out"], case.get("err", ""))
    shown = {
        task.native_id: [task.key, task.index, task.state, task.exit_code, task.node]
        for task in answer.tasks
    }
    assert shown == case["tasks"]
    assert answer.complete is case.get("complete", True)


def test_the_reason_is_the_scheduler_s_own_comment_or_the_status_it_gave() -> None:
    lines = "Job Id: 1.s\n    Job_Name = b\n    job_state = {}\n    {}\n\n"
    waits = torque.read_status(0, lines.format("Q", "comment = Not Running: no\n\t nodes"), "")
    assert [task.reason for task in waits.tasks] == ["Not Running: nonodes"]
    ended = torque.read_status(0, lines.format("C", "exit_status = -3"), "")
    assert [task.reason for task in ended.tasks] == ["exit status -3"]


def test_an_array_is_rendered_as_the_golden_script() -> None:
    assert torque.job_script(SPEC) == (GOLDEN / "array.sh").read_text()


def test_all_that_is_asked_for_is_on_the_command_line() -> None:
    assert torque.submit_command(SPEC) == [
        *("qsub", "-N", "b0123456789ab", "-S", "/bin/sh", "-r", "n", "-j", "oe"),
        *("-o", "log/torque.out"),
        *("-l", "nodes=1:ppn=2:gpus=1,walltime=00:05:00,mem=2048mb"),
        *("-q", "standard", "-A", "museum", "-t", "0-499%64", "job.sh"),
    ]


def test_a_stage_that_asks_for_nothing_names_no_limits() -> None:
    command = torque.submit_command(BARE)
    assert command[command.index("-l") + 1] == "nodes=1:ppn=1"
    assert command[-3:] == ["-t", "0-0", "job.sh"]
    assert not {"-q", "-A"} & set(command)


def test_a_single_job_is_no_array_and_runs_the_first_line() -> None:
    spec = BARE._replace(alone=True)
    assert "-t" not in torque.submit_command(spec)
    assert "--index 0 " in torque.job_script(spec)


@pytest.mark.parametrize(
    "odd",
    [{"key": "b012345678901234"}, {"key": "-b"}, {"queue": "q;reboot"}, {"account": "two words"}],
    ids=str,
)
def test_a_name_that_torque_cannot_have_is_refused(odd: dict[str, str]) -> None:
    spec = SPEC._replace(**odd)
    with pytest.raises(ValueError, match=next(iter(odd.values()))):
        torque.submit_command(spec)
    with pytest.raises(ValueError, match=next(iter(odd.values()))):
        torque.job_script(spec)


def test_jobs_are_found_by_their_name_an_array_once() -> None:
    job = "<Job><Job_Id>{}</Job_Id><Job_Name>{}</Job_Name><job_state>Q</job_state></Job>"
    named = [("1.s", "b1"), ("2[].s", "b2"), ("3[0].s", "b1-0"), ("3[1].s", "b1-1"), ("4.s", "b11")]
    out = f"<Data>{''.join(job.format(*each) for each in named)}</Data>"
    assert torque.read_found(0, out, "", "b1") == ["1.s", "3[].s"]
    assert torque.read_found(0, out, "", "b2") == ["2[].s"]
    assert torque.read_found(0, out, "", "b3") == []
    assert torque.read_found(0, out[:-9], "", "b3") is None
    assert (
        torque.read_found(29, "", "qstat: cannot connect to server head (errno=15133)", "b") is None
    )


def test_of_the_numbers_that_slurm_s_wrappers_show_the_array_s_own_is_told() -> None:
    jobs = "".join(f"Job Id:\t{n}\n\tJob_Name = b1\n\tjob_state = R\n\n" for n in (12, 9, 10))
    assert torque.read_found(0, jobs, "", "b1") == ["9"]


def test_jobs_are_asked_for_and_ended_by_their_ids() -> None:
    assert torque.status_command(["1[].s", "2.s"])[3:] == ["qstat", "1[].s", "2.s"]
    assert torque.cancel_command(["1[].s", "2.s"]) == ["qdel", "1[].s", "2.s"]
