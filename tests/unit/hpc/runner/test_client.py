"""Waiting and checking, without a network."""

import time
import zlib
from pathlib import Path

from hpc.runner.__main__ import native_id_of, threads_given
from hpc.runner.deadline import Deadline
from hpc.runner.files import crc32_of


def test_patience_ends_at_its_deadline() -> None:
    began = time.monotonic()
    patience = Deadline(0.3)
    while patience.wait():
        assert time.monotonic() - began < 0.3
    assert time.monotonic() - began < 0.5


def test_patience_ends_when_told_to_hurry() -> None:
    assert not Deadline(60, hurry=lambda: True).wait(min_s=5)


def test_no_patience_is_one_try() -> None:
    assert not Deadline(0).wait()


def test_a_checksum_of_a_large_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(content)
    assert crc32_of(tmp_path / "x") == zlib.crc32(content)


def test_the_scheduler_names_the_job() -> None:
    slurm = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "3"}
    assert native_id_of(slurm) == "8_3"
    assert native_id_of({"SLURM_JOB_ID": "9"}) == "9"
    assert native_id_of({"PBS_JOBID": "7.server"}) == "7.server"
    assert ":" in native_id_of({})


def test_the_scheduler_says_how_many_threads() -> None:
    assert threads_given({"SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "1"}) == 4
    assert threads_given({"PBS_NUM_PPN": "3", "OMP_NUM_THREADS": "1"}) == 3
    assert threads_given({"LSB_DJOB_NUMPROC": "2", "OMP_NUM_THREADS": "1"}) == 2
    assert threads_given({"OMP_NUM_THREADS": "1"}) == 1
    assert threads_given({}) >= 1
