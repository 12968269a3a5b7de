"""Slurm as text, against golden answers: ordinary ones, and ugly ones."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpc.scheduler.batch_script import ArraySpec, render
from hpc.scheduler.ladder import escalate_resources, merge
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.slurm import (
    expand,
    read_accounting,
    read_limits,
    read_queue,
    read_submission,
    sacct_command,
    sbatch_command,
    scancel_command,
    squeue_command,
)
from hpc.scheduler.states import JobState, slurm_state
from schemas.pipeline.model import Resources

GOLDEN = Path(__file__).parent / "golden"


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((GOLDEN / name).read_text())
    return [pytest.param(case, id=case.get("name") or case["err"][-60:]) for case in found]


@pytest.mark.parametrize("case", cases("submissions.yaml"))
def test_an_answer_to_a_submission_is_accepted_or_declined_with_what_to_do(case: Any) -> None:
    answer = read_submission(case["code"], case["out"], case["err"])
    assert answer.outcome is SubmitOutcome(case["is"])
    assert answer.job_id == case.get("id", "")
    assert answer.job_id or answer.why


@pytest.mark.parametrize("case", cases("queues.yaml"))
def test_an_answer_of_the_queue_shows_states_and_whether_absence_counts(case: Any) -> None:
    answer = read_queue(case["code"], case["out"], case.get("err", ""))
    if case["states"] is None:
        assert answer is None
        return
    assert answer is not None
    assert {task.native_id: task.state.value for task in answer.tasks} == case["states"]
    assert answer.complete is case.get("complete", True)


@pytest.mark.parametrize("case", cases("accounting.yaml"))
def test_accounting_shows_ends_and_exit_codes(case: Any) -> None:
    answer = read_accounting(case["code"], case["out"], case.get("err", ""))
    if case["ends"] is None:
        assert answer is None
        return
    assert answer is not None
    ends = {task.native_id: [task.state.value, task.exit_code] for task in answer.tasks}
    assert ends == case["ends"]
    assert answer.complete is case.get("complete", True)


def test_an_array_is_rendered_as_the_golden_script() -> None:
    asked = Resources.model_validate(
        {
            "time": "00:05",
            "mem": "2G",
            "cpus": 2,
            "gpus": 1,
            "partition": "standard",
            "account": "museum",
            "qos": "normal",
        }
    )
    spec = ArraySpec(
        size=500,
        python="/opt/my python/bin/python",
        runner="../../bin/runner-1.pyz",
        resources=asked,
        throttle=64,
        exclude=("n7", "n9", "n1;reboot"),
    )
    assert render(spec) == (GOLDEN / "array.sh").read_text()


def test_the_prelude_runs_in_the_job_before_its_python_and_may_be_careless(
    tmp_path: Path,
) -> None:
    """What it sets stays, what it says goes nowhere, and its `set -eu` ends no job."""
    prelude = "set -eu\nexport WHO='the museum'; echo loaded"
    spec = ArraySpec(1, "/usr/bin/printenv", "WHO", Resources(), prelude=prelude)
    text = render(spec).replace(
        '--batch . --index "$SLURM_ARRAY_TASK_ID" --native-id "$native"', ""
    )
    assert text.index("#SBATCH --output") < text.index("set -eu") < text.index("printenv")
    done = subprocess.run(
        ["/bin/sh", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the museum\n", "")
    assert len(list((tmp_path / "ended").iterdir())) == 1


def test_a_stage_that_asks_for_nothing_gets_a_script_without_limits() -> None:
    text = render(ArraySpec(1, "/usr/bin/python3", "r.pyz", Resources(), throttle=9))
    assert "#SBATCH --array=0-0\n" in text
    assert "--signal=B:USR1@90" in text
    for wish in ("--time", "--mem", "--gres", "--exclude", "--account"):
        assert wish not in text


def test_a_job_of_a_minute_gets_no_warning_that_would_come_at_its_start() -> None:
    asked = Resources.model_validate({"time": 1})
    assert "--signal" not in render(ArraySpec(1, "/p", "r.pyz", asked))


def test_commands_are_words_for_a_shell_to_quote() -> None:
    assert sbatch_command("b1") == [
        *("sbatch", "--parsable", "--job-name=b1", "--comment=b1", "job.sh")
    ]
    assert "--name=b1,b2" in squeue_command(["b1", "b2"])
    assert "--name=b1,b2" in sacct_command(["b1", "b2"])
    assert scancel_command(["7_3", "7_1", "7_2", "7_9", "8", "9_0", "7_3"]) == [
        *("scancel", "8", "7_[1-3,9]", "9_[0]")
    ]


def test_a_name_nobody_asked_for_is_a_line_cut_short() -> None:
    answer = read_queue(0, ["5|0|RUNNING|b1|n1|None", "5|1|RUNNING|b|n1|None"], "", ["b1"])
    assert answer is not None
    assert not answer.complete
    assert [task.native_id for task in answer.tasks] == ["5_0"]


def test_the_limits_of_a_site_are_read_from_its_configuration() -> None:
    limits = read_limits((GOLDEN / "config.txt").read_text().splitlines())
    assert (limits.version, limits.max_array, limits.max_jobs) == ("22.05.8", 10001, 20000)
    assert (limits.min_job_age_s, limits.message_timeout_s) == (300, 30)


def test_limits_that_cannot_be_read_keep_slurms_defaults() -> None:
    limits = read_limits(["slurm_load_ctl_conf error: Unable to contact slurm controller"])
    assert (limits.max_array, limits.max_jobs, limits.min_job_age_s) == (1001, 10_000, 300)


def test_a_list_of_tasks_that_was_cut_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"0-20,\.\.\."):
        expand("0-20,...")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("out_of_memory", JobState.OUT_OF_MEMORY),
        ("RUNNING+", JobState.RUNNING),
        ("COMPLETED*", JobState.COMPLETED),
        ("", JobState.UNKNOWN),
        ("LEVITATING", JobState.UNKNOWN),
    ],
)
def test_slurms_states_mean_one_of_ten_things(word: str, state: JobState) -> None:
    assert slurm_state(word) is state


def test_an_unknown_state_is_no_end() -> None:
    assert not JobState.UNKNOWN.ended
    assert JobState.OUT_OF_MEMORY.ended


def test_what_ran_out_is_doubled_for_each_time_it_did() -> None:
    asked = Resources.model_validate({"time": "00:10", "mem": "2G"})
    assert escalate_resources(asked, []) == asked
    climbed = escalate_resources(asked, ["timeout", "node_fail", "out_of_memory", "timeout"])
    assert (climbed.time_s, climbed.mem_mb) == (2400, 4096)


def test_a_stage_that_never_asked_for_any_gets_a_default_when_it_runs_out() -> None:
    climbed = escalate_resources(Resources(), ["out_of_memory", "out_of_memory", "timeout"])
    assert (climbed.mem_mb, climbed.time_s) == (8192, 3600)


def test_a_sites_resources_stand_where_a_stage_has_none() -> None:
    site = Resources.model_validate({"partition": "standard", "time": "01:00"})
    stage = Resources.model_validate({"time": "00:05"})
    merged = merge(site, stage)
    assert (merged.partition, merged.time_s) == ("standard", 300)


@pytest.mark.parametrize("odd", ["UNLIMITED", "", "(null)", "many", "-1", "4294967294"])
def test_a_setting_with_an_odd_value_stops_nothing(odd: str) -> None:
    names = ("MaxArraySize", "MaxJobCount", "MinJobAge", "MessageTimeout")
    limits = read_limits(f"{name} = {odd}" for name in names)
    assert limits.largest_array >= 1


def test_no_arrays_and_few_jobs_are_limits() -> None:
    assert read_limits(["MaxArraySize = 0"]).largest_array == 0
    assert read_limits(["MaxArraySize = 1001", "MaxJobCount = 100"]).largest_array == 99
    assert read_limits(["MaxJobCount = 0"]).largest_array == 1


def test_a_job_that_is_no_array_runs_its_only_line() -> None:
    text = render(ArraySpec(1, "/usr/bin/python3", "r.pyz", Resources(), alone=True))
    assert "--array" not in text and "--output=log/slurm-%j.out" in text
    assert 'native="$SLURM_JOB_ID"\n' in text and "--index 0 " in text
