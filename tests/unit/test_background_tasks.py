"""What is done beside is begun where its unforeseen end is heard of, and nowhere else."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.test_imports import NAMES

BEGINS = {"create_task", "ensure_future", "Thread"}
ELSEWHERE = {
    ("tasks.background", "create_task", 1): "here every one of them is heard of",
    ("tasks.dispatch.dispatcher", "create_task", 1): "what it raised is logged when it ends",
    ("tasks.dispatch.runs", "create_task", 1): "its group ends with the first, and raises that",
    ("tasks.dispatch.groups", "create_task", 1): "it raises all where it was asked for",
    ("tasks.intake.watch", "create_task", 1): "the next look raises it",
    ("tasks.files.mounts", "Thread", 1): "whoever waits for it is given what it raised",
    ("tasks.files.copies", "Thread", 1): "it computes, and touches nothing that can fail",
    ("track.schema.database", "ensure_future", 1): "it is waited for, and asked again",
    ("track.jobs.leases", "create_task", 1): "without it the deadline comes, and cuts the call",
    ("track.jobs.leases", "Thread", 1): "however it ends, the lease counts as lost",
    ("api.free_space", "Thread", 1): "what it cannot ask is shown as a place without an answer",
    ("api.bodies", "create_task", 1): "it is waited for, and what it raised is raised",
    ("api.workstations.app", "create_task", 1): "what it raised is logged when it ends",
    ("blocks.alarm_queue", "create_task", 1): "what went wrong in it is logged, and it ends",
    ("api.queue_notices", "create_task", 1): "it logs what it meets, and goes on",
    ("hpc.agent.background", "Thread", 1): "whoever asks for its outcome raises it",
    ("hpc.agent.heartbeats", "Thread", 1): "the next turn raises it",
    ("hpc.sites.lock", "ensure_future", 1): "it is waited for, and asked what it found",
    ("hpc.sites.driver", "create_task", 3): "the first that ends is asked how",
    ("hpc.sites.transfers", "create_task", 1): "each turn asks how those ended that have",
    ("refinery.drivers", "create_task", 1): "each turn asks how those ended that have",
    ("refinery.services", "ensure_future", 1): "it is awaited",
    ("refinery.announcer", "create_task", 3): "its group ends with the first, and raises that",
    ("refinery.local.lifecycle", "ensure_future", 1): "it is awaited",
    ("refinery.local.service", "ensure_future", 1): "it is awaited",
    ("workstation.page.work", "Thread", 1): "the page shows what it ended with, and it is told",
    ("workstation.page.serve", "Thread", 1): "the address was said before, and opens by hand, too",
    ("demo.run", "ensure_future", 1): "the first that ends is asked how",
    ("refinery.local.stack", "create_task", 1): "its group ends with the first, and raises that",
}
"""Who else begins some, how many, and who hears of what they raise."""


def begun(path: Path) -> Counter[str]:
    """The calls of a file that begin something beside, by what they call."""
    calls = (
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    )
    names = (getattr(each, "attr", getattr(each, "id", "")) for each in calls)
    return Counter(name for name in names if name in BEGINS)


def test_nothing_is_begun_beside_whose_unforeseen_end_nobody_hears_of() -> None:
    found = {
        (module, call, n)
        for module, path in NAMES.items()
        for call, n in begun(path).items()
        if not module.startswith("hpc.runner.")  # plain synchronous Python of the clusters
    }
    assert found == ELSEWHERE.keys()


@pytest.mark.parametrize(
    "line", ["asyncio.create_task(f())", "group.create_task(f())", "ensure_future(f())"]
)
def test_each_way_to_begin_something_is_seen(line: str, tmp_path: Path) -> None:
    (path := tmp_path / "m.py").write_text(line)
    assert begun(path).total() == 1
