"""The packed agent before a real Slurm, by way of the programs that TORQUE's users know."""

import shutil
import uuid

import pytest

from demo.lab.slurm_lab import SlurmLab
from tests.support.agent_server import AgentServer
from tests.support.agent_site import until
from tests.support.needed import need
from tests.support.packed_agent import PackedAgent
from tests.support.slurm_lab import lab, slurm_lab

__all__ = ["lab", "slurm_lab"]

MISSING = "slurm-wlm-torque is not installed: run `bash tests/debian-packages.sh`"


@pytest.fixture(autouse=True)
def joined(lab: SlurmLab, agent: PackedAgent, server: AgentServer) -> None:
    """The agent has joined, and sees the cluster."""
    need(shutil.which("qsub") is not None, MISSING)
    agent.variables.update(lab.environment)
    words = ["--process", "0", "--scheduler", "torque", "--slots", "4"]
    assert agent.join(server, *words).returncode == 0


def turn(agent: PackedAgent) -> None:
    """One whole turn, with one look at the scheduler."""
    done = agent.run("run", "--once")
    assert done.returncode == 0, done.stderr


def key() -> str:
    """A name that no other test's job has."""
    return f"b{uuid.uuid4().hex[:12]}"


def test_an_array_is_run_once_and_each_of_its_results_is_told(
    agent: PackedAgent, server: AgentServer
) -> None:
    server.add_batch(key(), [1, 2, 3], "scheduler", granted=True, kind="good")

    def is_over() -> bool:
        turn(agent)
        return sorted(server.told("complete")) == [1, 2, 3]

    until(is_over, 90)
    assert sorted(agent.work()) == [1, 2, 3]
    assert sorted(server.told("start")) == [1, 2, 3]
    assert server.told("ended") == []


def test_what_was_cancelled_is_ended_at_the_scheduler(
    agent: PackedAgent, server: AgentServer
) -> None:
    server.add_batch(key(), [1, 2], "scheduler", granted=True, kind="slow")

    def has_begun() -> bool:
        turn(agent)
        return sorted(agent.work()) == [1, 2]

    until(has_begun, 90)
    server.orders.update({1: "cancel", 2: "cancel"})

    def is_over() -> bool:
        turn(agent)
        return sorted(server.told("ended")) == [1, 2]

    until(is_over, 90)
    states = {each["body"]["state"] for each in server.messages if "state" in each["body"]}
    assert states == {"cancelled"}


def test_an_end_without_a_word_is_told_with_its_exit_code(
    agent: PackedAgent, server: AgentServer
) -> None:
    server.add_batch(key(), [1, 2], "scheduler", granted=True, kind="fails")

    def is_over() -> bool:
        turn(agent)
        return sorted(server.told("ended")) == [1, 2]

    until(is_over, 90)
    bodies = [each["body"] for each in server.messages if each["path"].endswith("/ended")]
    assert {(body["state"], body["exit_code"]) for body in bodies} == {("failed", 3)}
