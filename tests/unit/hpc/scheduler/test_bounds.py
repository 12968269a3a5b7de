"""What a cluster allows a job to ask for, and how far a repeated attempt's wishes go."""

import pytest

from hpc.scheduler.bounds import Allowed, JobBounds, read_bounds
from hpc.scheduler.ladder import BOUNDED, asked_for
from schemas.pipeline.model import Resources

SAID = """\
PartitionName=main AllowGroups=ALL Default=YES QoS=night MaxNodes=UNLIMITED MaxTime=2-00:00:00 \
Nodes=n[1-2] State=UP MaxMemPerNode=UNLIMITED TRES=cpu=128,mem=8000M
PartitionName=small AllowGroups=ALL Default=NO QoS=N/A MaxTime=01:00:00 Nodes=n1 MaxMemPerNode=1000
PartitionName=odd MaxTime=soon MaxMemPerNode=lots Default
node|main|4000
node|main|64000+
node|small|4000
qos|normal||
qos|night|12:00:00|cpu=8,mem=32G
qos|
a banner | with a bar
"""


@pytest.fixture
def allowed() -> Allowed:
    return read_bounds(SAID.splitlines())


def of(allowed: Allowed, **asked: str) -> tuple[int | None, int | None]:
    found = allowed.of(Resources.model_validate(asked))
    return found.time_s and found.time_s[0], found.mem_mb and found.mem_mb[0]


def test_the_least_of_partition_nodes_and_qos_bounds_a_job(allowed: Allowed) -> None:
    assert of(allowed) == (12 * 3600, 32 * 1024)
    assert of(allowed, partition="small") == (3600, 1000)
    assert of(allowed, partition="small", qos="normal") == (3600, 1000)
    assert of(allowed, partition="small", qos="night") == (3600, 1000)
    assert of(allowed, partition="odd") == (None, None)
    assert of(allowed, partition="unheard-of") == (None, None)
    assert allowed.of(Resources()).mem_mb == (32 * 1024, "QOS night")


def test_the_largest_node_is_a_bound_where_the_partition_sets_none() -> None:
    said = "PartitionName=p Default=YES MaxTime=UNLIMITED MaxMemPerNode=UNLIMITED\nnode|p|4000"
    assert read_bounds(said.splitlines()).of(Resources()) == JobBounds(
        None, (4000, "the largest node of partition p")
    )


def test_nothing_reported_bounds_nothing() -> None:
    assert read_bounds([]).of(Resources()) == JobBounds()


def test_a_repeated_attempt_asks_for_no_more_than_is_allowed_and_says_whose_limit_it_is(
    allowed: Allowed,
) -> None:
    site = Resources.model_validate({"partition": "small"})
    stage = {"time": "00:40", "mem": 300}
    once = asked_for(site, stage, ["out_of_memory"], allowed)
    assert (once["mem"], once["time"], BOUNDED in once) == (600, "00:40:00", False)
    late = asked_for(site, stage, ["out_of_memory", "timeout", "out_of_memory"], allowed)
    assert (late["mem"], late["time"]) == (1000, "01:00:00")
    assert late[BOUNDED] == {
        "timeout": "partition small allows 1 h 00 min",
        "out_of_memory": "partition small allows 1000 MB of memory",
    }


def test_what_a_stage_asks_for_itself_is_left_for_slurm_to_refuse(allowed: Allowed) -> None:
    site = Resources.model_validate({"partition": "small"})
    assert asked_for(site, {"mem": 5000}, [], allowed)["mem"] == 5000
    assert asked_for(site, {"mem": 5000}, ["out_of_memory"], allowed)["mem"] == 5000
    assert asked_for(site, {}, ["timeout", "timeout"], allowed)["time"] == "01:00:00"
