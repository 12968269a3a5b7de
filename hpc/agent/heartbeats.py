"""The agent's heartbeat, on a clock of its own, so that nothing that takes long delays it."""

import random
import threading
from typing import Any, Callable, Dict, Optional

from hpc.agent.pauses import GrowingPause
from hpc.agent.server import NotTaken, ServerLink, ShutOut, TryLater

AGAIN_S = 60.0

News = Dict[str, Any]


class Heartbeats:
    """Tells the server what is held; `snapshot` gives it, `wake` is called when there is news.

    `trouble` is why the last one was not answered, empty when it was.
    """

    def __init__(
        self, link: ServerLink, snapshot: Callable[[], News], wake: Callable[[], None]
    ) -> None:
        self._link, self._snapshot, self._wake = link, snapshot, wake
        self._lock = threading.Lock()
        self._news: Optional[News] = None
        self._over = threading.Event()
        self._ended: Optional[Exception] = None
        self._pause = GrowingPause()
        self.trouble = ""

    def start(self) -> None:
        """Beat from now on, until `close`."""
        thread = threading.Thread(target=self._run, name="heartbeat")
        thread.daemon = True
        thread.start()

    def close(self) -> None:
        """Beat no more."""
        self._over.set()

    def take_news(self) -> Optional[News]:
        """The last answer, told once; None without a new one.

        Raises ShutOut, and whatever else ended the heartbeat.
        """
        with self._lock:
            if self._ended is not None:
                raise self._ended
            news, self._news = self._news, None
            return news

    def beat(self) -> float:
        """Tell it once; the seconds until the next time."""
        try:
            news = self._link.post("heartbeat", self._snapshot(), "attempts")
        except ShutOut as error:
            self._end(error)
            return 0.0
        except (TryLater, NotTaken) as trouble:
            self.trouble = str(trouble)
            return self._pause.fail(getattr(trouble, "after_s", 0.0))
        self.trouble = ""
        self._pause.succeed()
        with self._lock:
            self._news = news
        again_s = news.get("again_s")
        return float(again_s) if isinstance(again_s, (int, float)) else AGAIN_S

    def _end(self, error: Exception) -> None:
        with self._lock:
            self._ended = error
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                again_s = self.beat()
            except Exception as error:  # noqa: BLE001  the next turn raises it
                self._end(error)
                again_s = 0.0
            self._wake()
            # A little sooner, and never all agents at once.
            self._over.wait(again_s * random.uniform(0.9, 1.0))
