"""The packed agent and a scheduler of a few lines, which really runs what it is given."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent_server import AgentServer
from tests.support.agent_site import until
from tests.support.packed_agent import PackedAgent

QSUB = """\
#!/bin/sh
# Runs the tasks of `-t FIRST-LAST`, or a single job, one after another in the background.
echo "$*" >>{folder}/qsub.calls
tasks=0 whole=123.server
while [ "$#" -gt 1 ]; do
    [ "$1" != -t ] || {{ tasks=$(seq "${{2%-*}}" "${{2#*-}}") whole='123[].server'; }}
    shift
done
(
    for task in $tasks; do
        id=123.server
        [ "$whole" = 123.server ] || {{ id="123[$task].server"; export PBS_ARRAYID="$task"; }}
        PBS_JOBID="$id" sh "$1"
    done
) >/dev/null 2>&1 9>&- &
{lost}echo "$whole"
"""
QSTAT = """\
#!/bin/sh
{found}echo '<Data></Data>'
"""
JOB = "<Job><Job_Id>123[].server</Job_Id><Job_Name>b1</Job_Name><job_state>R</job_state></Job>"


def scheduler(folder: Path, lost: bool = False) -> Path:
    """The programs; `lost`: the answer to a submission never comes, and then it is shown."""
    folder.mkdir()
    answer = "echo 'qsub: End of File' >&2; exit 1\n" if lost else ""
    found = f"echo '<Data>{JOB}</Data>'; exit 0\n" if lost else ""
    (folder / "qsub").write_text(QSUB.format(folder=folder, lost=answer))
    (folder / "qstat").write_text(QSTAT.format(found=found))
    for name in ("qsub", "qstat"):
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(params=[False, True], ids=["answered", "answer lost"])
def cluster(
    request: pytest.FixtureRequest, agent: PackedAgent, server: AgentServer, tmp_path: Path
) -> Iterator[Path]:
    """An agent that has joined with a scheduler; the folder of its programs."""
    folder = scheduler(tmp_path / "programs", lost=request.param)
    agent.variables["PATH"] = f"{folder}:{os.environ['PATH']}"
    words = ["--process", "0", "--scheduler", "torque", "--slots", "4", "--queue", "batch"]
    assert agent.join(server, *words).returncode == 0
    yield folder


@pytest.mark.parametrize("attempts", [[1, 2, 3], [1]], ids=["an array", "a single job"])
def test_a_batch_is_submitted_once_and_all_its_results_are_told(
    attempts: list[int], cluster: Path, agent: PackedAgent, server: AgentServer
) -> None:
    server.add_batch("b1", attempts, "scheduler", granted=True, kind="good")

    def is_over() -> bool:
        done = agent.run("run", "--once")
        assert done.returncode == 0, done.stderr
        return server.told("complete") == attempts

    until(is_over, 60)
    assert server.told("start") == attempts
    assert sorted(agent.work()) == attempts
    assert len((cluster / "qsub.calls").read_text().splitlines()) == 1
    ids = [each["native_id"] for body in server.bodies("submitted") for each in body["batches"]]
    assert ids[0].startswith("123")


def test_an_end_without_a_word_is_told_by_its_exit_file(
    cluster: Path, agent: PackedAgent, server: AgentServer
) -> None:
    server.add_batch("b1", [1, 2], "scheduler", granted=True, kind="fails")

    def is_over() -> bool:
        agent.run("run", "--once")
        return sorted(server.told("ended")) == [1, 2]

    until(is_over, 60)
    bodies = [each["body"] for each in server.messages if each["path"].endswith("/ended")]
    assert {(body["state"], body["exit_code"], body["started"]) for body in bodies} == {
        ("failed", 3, True)
    }
    assert {body["native_id"] for body in bodies} == {"123[0].server", "123[1].server"}
