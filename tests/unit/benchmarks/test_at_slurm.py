"""What the lab's own records say it was asked, and the figures that are made of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.benchmarks import at_slurm
from tests.benchmarks.at_slurm import Asked, read_log, read_rpcs
from tests.benchmarks.bench_chain import Chains, rows_of
from tests.benchmarks.carried import Step
from tests.benchmarks.system import peak_of

SDIAG = """\
Remote Procedure Call statistics by message type
\tREQUEST_PARTITION_INFO                  ( 2009) count:24     ave_time:105    total_time:2538
\tREQUEST_SUBMIT_BATCH_JOB                ( 4003) count:12     ave_time:1171   total_time:14059
\tREQUEST_JOB_INFO                        ( 2003) count:3      ave_time:93     total_time:281
\tREQUEST_JOB_INFO_SINGLE                 ( 2021) count:2      ave_time:93     total_time:281
Remote Procedure Call statistics by user
\troot            (       0) count:115    ave_time:2120   total_time:243824
"""
LOG = """\
Connection from 127.0.0.1 port 33000 on 127.0.0.1 port 22000 rdomain ""
Accepted key ED25519 SHA256:abc found at /x/authorized_keys:1
Accepted publickey for root from 127.0.0.1 port 33000 ssh2: ED25519 SHA256:abc
Starting session: command for root from 127.0.0.1 port 33000 id 0
Close session: user root from 127.0.0.1 port 33000 id 0
Starting session: command for root from 127.0.0.1 port 33000 id 0
"""


def test_submissions_and_looks_are_counted_as_the_controller_counted_them() -> None:
    assert read_rpcs(SDIAG) == {"sbatch RPCs": 12, "queue RPCs": 5}
    assert read_rpcs("") == {"sbatch RPCs": 0, "queue RPCs": 0}


def test_connections_and_commands_are_counted_as_sshd_logged_them() -> None:
    assert read_log(LOG) == (1, 2)
    assert read_log("") == (0, 0)


def test_only_what_was_asked_in_between_counts() -> None:
    assert Asked(3, 20, 9, 2, 6).less(Asked(2, 5, 3, 2, 0)) == Asked(1, 15, 6, 0, 6)


def test_without_slurm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_slurm, "installed", lambda: False)
    nothing: Any = None
    missing = pytest.raises(RuntimeError, match=r"Slurm is not installed.*debian-packages\.sh")
    with missing, at_slurm.lab_of(nothing):
        pass


def test_the_span_is_held_against_the_mean_of_both_raw_sides() -> None:
    began = datetime(2026, 3, 1, tzinfo=UTC)
    moves = [("queued", 1, 0), ("done", 1, 6), ("queued", 2, 7), ("done", 2, 12)]
    steps = [Step("a", job, True, new, began + timedelta(seconds=s)) for new, job, s in moves]
    cpu = dict.fromkeys(("prefect", "flows", "postgres", "api-clusters", "sites"), 0.1)
    found = Chains(1, 20.0, [2.0, 4.0], steps, cpu, Asked(1, 5, 3, 0, 3), 1)
    rows = {row.what.strip(): row for row in rows_of(found)}
    span, whole, *_ = rows.values()
    assert (span.judged, span.verdict) == (4.0, "met")
    assert (whole.ours, whole.theirs) == (20.0, 3.0)
    assert rows["job's end → next queued (1 samples), p50"].ours == 1.0
    assert rows["processor time per job: all services, 5 jobs"].ours == pytest.approx(0.1)
    assert rows["arrays submitted, for 3 jobs"].ours == 3


def test_the_most_memory_is_read_in_megabytes() -> None:
    assert peak_of("VmPeak:\t  900000 kB\nVmHWM:\t  150000 kB\nVmRSS:\t  1 kB\n") == 153.6
