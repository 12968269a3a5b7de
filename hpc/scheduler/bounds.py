"""The most that a partition, its nodes and a QOS let one job ask for, as Slurm reports it.

Only a repeated attempt's larger request is capped by it. What a stage itself asks for is Slurm's
to refuse. A bound that cannot be read is none.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.pipeline.model import Resources

ASK = (
    "scontrol show partition --oneliner 2>/dev/null; "
    "sinfo --noheader --exact --format='node|%R|%m' 2>/dev/null"
)
"""Every partition a line of `Name=value` words, then the memory of its kinds of nodes in MiB."""

ASK_QOS = (
    "sacctmgr --noheader --parsable2 show qos format=Name,MaxWall,MaxTRES 2>/dev/null"
    " | sed 's/^/qos|/'"
)

_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d+):(\d+)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_MIB = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024.0}


@dataclass(frozen=True)
class JobBounds:
    """The most that one job may ask for, in seconds and MiB, each with whose limit it is."""

    time_s: tuple[int, str] | None = None
    mem_mb: tuple[int, str] | None = None


@dataclass(frozen=True)
class Allowed:
    """The bounds of a cluster's partitions and QOS by their names; `default` is the partition
    of a job that names none."""

    partitions: Mapping[str, JobBounds] = field(default_factory=dict)
    partition_qos: Mapping[str, str] = field(default_factory=dict)
    qos: Mapping[str, JobBounds] = field(default_factory=dict)
    default: str = ""

    def of(self, asked: Resources) -> JobBounds:
        """The bounds of a job that asks for this."""
        partition = asked.partition or self.default
        found = [
            self.partitions.get(partition),
            self.qos.get(self.partition_qos.get(partition, "")),
            self.qos.get(asked.qos or ""),
        ]
        known = [each for each in found if each is not None]
        return JobBounds(
            min((each.time_s for each in known if each.time_s), default=None),
            min((each.mem_mb for each in known if each.mem_mb), default=None),
        )


def read_bounds(lines: Iterable[str]) -> Allowed:
    """What `ASK` and `ASK_QOS` print."""
    partitions: dict[str, JobBounds] = {}
    partition_qos: dict[str, str] = {}
    largest: dict[str, int] = {}
    qos: dict[str, JobBounds] = {}
    default = ""
    for line in lines:
        kind, _, rest = line.strip().partition("|")
        name, _, value = rest.partition("|")
        if kind == "node":
            largest[name] = max(largest.get(name, 0), _mib(value) or 0)
        elif kind == "qos":
            qos[name] = _qos(name, value)
        elif line.startswith("PartitionName="):
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            name = words["PartitionName"]
            time, memory = words.get("MaxTime", ""), words.get("MaxMemPerNode", "")
            partitions[name] = _bounds(time, memory, f"partition {name}")
            partition_qos[name] = words.get("QoS", "")
            if words.get("Default") == "YES":
                default = name
    for name, bounds in partitions.items():
        partitions[name] = _with_nodes(name, bounds, largest.get(name, 0))
    return Allowed(partitions, partition_qos, qos, default)


def _with_nodes(name: str, bounds: JobBounds, largest: int) -> JobBounds:
    if not largest or (bounds.mem_mb is not None and bounds.mem_mb[0] <= largest):
        return bounds
    return JobBounds(bounds.time_s, (largest, f"the largest node of partition {name}"))


def _qos(name: str, value: str) -> JobBounds:
    wall, _, tres = value.partition("|")
    limits = dict(word.split("=", 1) for word in tres.split(",") if "=" in word)
    return _bounds(wall, limits.get("mem", ""), f"QOS {name}")


def _bounds(time: str, memory: str, whose: str) -> JobBounds:
    time_s, mem_mb = _seconds(time), _mib(memory)
    return JobBounds((time_s, whose) if time_s else None, (mem_mb, whose) if mem_mb else None)


def _seconds(text: str) -> int | None:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _mib(text: str) -> int | None:
    found = _SIZE.fullmatch(text.strip().rstrip("+"))
    return int(float(found[1]) * _MIB[found[2]]) if found else None
