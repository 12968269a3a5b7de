"""What the server last said, kept so that the next run begins with it."""

import json
import time
from pathlib import Path
from typing import Any, Dict

from hpc.agent.config import AgentConfig
from hpc.agent.files import read_object, write_whole

LEASE_S = 900.0


class Contact:
    """The last heartbeat that was answered: when, by this machine's clock, and its orders."""

    def __init__(self, home: Path, config: AgentConfig) -> None:
        self._path = home / "contact.json"
        kept = read_object(self._path)
        found: Dict[str, Any] = kept if isinstance(kept, dict) else {}
        self.at = float(found.get("at") or 0.0)
        self.order = str(found.get("order") or "run")
        self.lease_s = float(found.get("lease_s") or LEASE_S)
        self.capacity: Dict[str, int] = found.get("capacity") or dict(config.launchers)

    def take_no_more(self, order: str) -> None:
        """Heed an order that came with another answer, until the next heartbeat's is known."""
        if order in ("drain", "stop"):
            self.order = order

    def take_in(self, news: Dict[str, Any]) -> None:
        """Keep what a heartbeat was answered. Raises OSError."""
        self.at = time.time()
        self.order = str(news.get("order") or self.order)
        self.lease_s = float(news.get("lease_s") or self.lease_s)
        capacity = news.get("capacity")
        if isinstance(capacity, dict):
            self.capacity = {str(name): int(units) for name, units in capacity.items()}
        kept = {
            "at": self.at,
            "order": self.order,
            "lease_s": self.lease_s,
            "capacity": self.capacity,
        }
        write_whole(self._path, json.dumps(kept) + "\n")

    @property
    def is_within_lease(self) -> bool:
        """Whether what is held is still this agent's, for all that is known here."""
        return abs(time.time() - self.at) < self.lease_s
