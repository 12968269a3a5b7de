"""LSF as text, against golden answers in the formats of its documents."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpc.scheduler import lsf
from tests.unit.hpc.scheduler.test_torque import BARE, SPEC

GOLDEN = Path(__file__).parent / "golden" / "lsf"

ERRORS: dict[str, list[str]] = yaml.safe_load((GOLDEN / "errors.yaml").read_text())


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((GOLDEN / name).read_text())
    return [
        pytest.param(case, id=case.get("name") or (case["err"] or case["out"])[-60:])
        for case in found
    ]


@pytest.mark.parametrize("case", cases("submissions.yaml"))
def test_an_answer_of_bsub_has_an_id_or_says_what_to_do(case: Any) -> None:
    answer = lsf.read_submission(case["code"], case["out"], case["err"])
    assert (answer.outcome, answer.job_id) == (case["is"], case.get("id", ""))
    assert bool(answer.why) is not bool(answer.job_id)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_answer_that_lsf_knows_is_taken_for_what_it_means(kind: str) -> None:
    found = {
        text: lsf.read_submission(255, "", f"{text}. Job not submitted.\n").outcome
        for text in ERRORS[kind]
    }
    assert found == dict.fromkeys(ERRORS[kind], kind)


@pytest.mark.parametrize("case", cases("status.yaml"))
def test_an_answer_of_bjobs_shows_tasks_and_whether_absence_counts(case: Any) -> None:
    answer = lsf.read_status(case["code"], case["out"], case.get("err", ""))
    shown = {
        task.native_id: [task.key, task.index, task.state, task.exit_code, task.node]
        for task in answer.tasks
    }
    assert shown == case["tasks"]
    assert answer.complete is case.get("complete", True)


def test_an_array_is_rendered_as_the_golden_script() -> None:
    assert lsf.job_script(SPEC) == (GOLDEN / "array.sh").read_text()


def test_all_that_is_asked_for_is_on_the_command_line() -> None:
    assert lsf.submit_command(SPEC._replace(time_s=3601)) == [
        *("env", "LSB_NTRIES=1", "bsub", "-rn", "-J", "b0123456789ab[1-500]%64"),
        *("-o", "log/lsf-%J-%I.report", "-q", "standard", "-P", "museum", "-n", "2"),
        *("-W", "61", "-wt", "2", "-wa", "USR1", "-M", "2048MB", "-gpu", "num=1"),
        *("-R", "span[hosts=1] rusage[mem=2048MB]", "/bin/sh", "job.sh"),
    ]


def test_a_stage_that_asks_for_nothing_names_no_limits() -> None:
    command = lsf.submit_command(BARE)
    assert command[command.index("-R") + 1] == "span[hosts=1]"
    assert not {"-q", "-P", "-n", "-W", "-wa", "-M", "-gpu"} & set(command)


def test_a_short_job_gets_no_warning_that_would_come_at_its_start() -> None:
    command = lsf.submit_command(SPEC)
    assert command[command.index("-W") + 1] == "5"
    assert "-wa" not in command


def test_a_single_job_is_no_array_and_runs_the_first_line() -> None:
    spec = BARE._replace(alone=True)
    command = lsf.submit_command(spec)
    assert command[command.index("-J") + 1] == "b1"
    assert "--index 0 " in lsf.job_script(spec)
    assert 'native="$LSB_JOBID"' in lsf.job_script(spec)


@pytest.mark.parametrize("odd", [{"key": "b[1]"}, {"queue": "a b"}, {"account": "$x"}], ids=str)
def test_a_name_that_lsf_cannot_have_is_refused(odd: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be a"):
        lsf.submit_command(SPEC._replace(**odd))


def test_jobs_are_found_by_their_name_an_array_once() -> None:
    out = "3|1|RUN|-|h|b1[1]|-\n3|2|DONE|-|h|b1[2]|-\n12|0|PEND|-|-|b1|-\n4|0|PEND|-|-|b11|-\n"
    assert lsf.read_found(0, out, "", "b1") == ["12", "3"]
    assert lsf.read_found(255, "", "Job <b1> is not found\n", "b1") == []
    assert lsf.read_found(255, "", "LSF is down. Please wait ...\n", "b1") is None
    assert lsf.find_command("b1")[-2:] == ["-J", "b1"]


def test_jobs_are_asked_for_and_ended_by_their_ids() -> None:
    assert lsf.status_command(["1", "2"])[3:] == ["bjobs", "1", "2"]
    assert lsf.cancel_command(["1", "2[3]"]) == ["env", "LSB_NTRIES=1", "bkill", "1", "2[3]"]


OLD_BJOBS = """\
#!/bin/sh
echo "$#: $*" >>"$0.said"
case "$*" in *" -o "*) echo "bjobs: illegal option -- o" >&2; exit 255;; esac
[ "$LSB_NTRIES" = 1 ] || exit 3
echo "7  museum  RUN  normal  login1  hostA  b1[2]  Sep  3 10:00"
"""


def test_a_bjobs_that_knows_no_columns_is_asked_once_more_for_its_wide_listing(
    tmp_path: Path,
) -> None:
    bjobs = tmp_path / "bjobs"
    bjobs.write_text(OLD_BJOBS)
    bjobs.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        lsf.status_command(["7", "8[1]"]),
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    status = lsf.read_status(done.returncode, done.stdout, done.stderr)
    assert [(task.native_id, task.state) for task in status.tasks] == [("7[2]", "running")]
    assert status.complete
    columns = "jobid jobindex stat exit_code exec_host job_name exit_reason delimiter='|'"
    said = (tmp_path / "bjobs.said").read_text().splitlines()
    assert said == [f"6: -a -noheader -o {columns} 7 8[1]", "4: -a -w 7 8[1]"]
