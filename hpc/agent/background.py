"""Calls that take long, made beside the agent's turns, so that none of them holds up a turn."""

import threading
from typing import Any, Callable, Dict, List, NamedTuple


class FinishedCall(NamedTuple):
    """A call that is over: what it gave, or what it raised."""

    name: str
    value: Any
    error: Any


class BackgroundCalls:
    """Calls by name, `at_once` of them together; the others wait for a later turn.

    `inline`: each is made at once instead, for an agent that does one turn and ends. What is
    under way when the agent ends is cut off: every call must bear being repeated.
    """

    def __init__(self, wake: Callable[[], None], inline: bool = False, at_once: int = 2) -> None:
        self._wake, self.inline, self._at_once = wake, inline, at_once
        self._lock = threading.Lock()
        self._running: Dict[str, threading.Thread] = {}
        self._finished: List[FinishedCall] = []

    def has(self, name: str) -> bool:
        """Whether a call of this name is under way, or over and not yet looked at."""
        with self._lock:
            return name in self._running or any(each.name == name for each in self._finished)

    def begin(self, name: str, call: Callable[[], Any]) -> bool:
        """Make a call beside the turns; False when there is no room for it now."""
        if self.has(name) or len(self._running) >= self._at_once:
            return False
        thread = threading.Thread(target=self._make, args=(name, call), name=name)
        thread.daemon = True
        with self._lock:
            self._running[name] = thread
        if self.inline:
            self._make(name, call)
        else:
            thread.start()
        return True

    def finished(self, prefix: str) -> List[FinishedCall]:
        """The calls whose names begin so and that are over, each told once."""
        with self._lock:
            mine = [each for each in self._finished if each.name.startswith(prefix)]
            self._finished = [each for each in self._finished if each not in mine]
        return mine

    def _make(self, name: str, call: Callable[[], Any]) -> None:
        value = error = None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001  whoever asks for the outcome raises it
            error = raised
        with self._lock:
            del self._running[name]
            self._finished.append(FinishedCall(name, value, error))
        self._wake()
