"""What the ways to start work have in common."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Dict, List, Optional

from hpc.agent.config import AgentConfig
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldBatch
from hpc.agent.journal import Journal


class Launcher(ABC):
    """Starts batches of its kind, and looks at those it started.

    All it knows is in the journal and on the disk; what it remembers besides may be lost.
    """

    name = ""

    def __init__(self, config: AgentConfig, folders: SiteFolders, journal: Journal) -> None:
        self.config, self.folders, self.journal = config, folders, journal

    @abstractmethod
    def launch(self, batch: HeldBatch) -> None:
        """Start a claimed batch. Raises OSError, JournalError."""

    @abstractmethod
    def look(self, batches: List[HeldBatch]) -> None:
        """Note what ended, and stop what has to be. Raises OSError, JournalError."""

    @abstractmethod
    def plan(self, batch: HeldBatch) -> str:
        """What `launch` would do, in words."""

    def runner(self, batch: HeldBatch) -> Path:
        """The runner that a batch is to be run with."""
        return runner_path(self.folders, batch.runner)


def runner_path(folders: SiteFolders, sha256: str) -> Path:
    """Where a runner lies."""
    return folders.programs / f"runner-{sha256}.pyz"


def time_limit_s(resources: Dict[str, Any]) -> Optional[int]:
    """`resources.time` in seconds, written HH:MM, HH:MM:SS or as minutes; None: no limit."""
    given = resources.get("time")
    if isinstance(given, int):
        return given * 60
    if not isinstance(given, str):
        return None
    try:
        parts = [int(part) for part in given.split(":")]
    except ValueError:
        return None
    hours, minutes, seconds = ([*parts, 0, 0])[:3]
    return hours * 3600 + minutes * 60 + seconds
