"""What an agent tells of its machine."""

import os
from pathlib import Path
from typing import Any, Dict


def facts() -> Dict[str, Any]:
    """Processors this process may use, and memory in MB of 10^6 bytes."""
    found: Dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "host": os.uname().nodename}
    total = _memory_mb("MemTotal")
    if total is not None:
        found["memory_mb"] = total
    return found


def load() -> Dict[str, Any]:
    """The machine's load average of a minute, and the memory in use, in MB of 10^6 bytes."""
    found: Dict[str, Any] = {"cpu": round(os.getloadavg()[0], 2)}
    total, free = _memory_mb("MemTotal"), _memory_mb("MemAvailable")
    if total is not None and free is not None:
        found["memory_mb"] = total - free
    return found


def _memory_mb(name: str) -> Any:
    try:
        for line in Path("/proc/meminfo").read_text().split("\n"):
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024 // 1000000
    except (OSError, ValueError, IndexError):
        pass
    return None
