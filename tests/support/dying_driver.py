"""A driver in a process of its own that kills itself, as `kill -9` would, at a named moment.

`python -m tests.support.dying_driver SPEC` where SPEC is a JSON file; its own process is the
one thing that ends, at once and without a word.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from demo.lab.sshd import Sshd
from hpc.sites.slurm.driver import SlurmDriver
from hpc.transport.ssh import SshLink
from schemas.sites import Site
from tests.support.callbacks import KEYS
from track.schema.database import make_engine

MOMENTS = ("intent", "submit", "answer", "id")
SUBMITTING_S = 0.05


def die() -> None:
    """End at once: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(driver: SlurmDriver, moment: str) -> None:
    """Have the driver die at a moment of its first send."""
    real = driver.state.cluster.send
    look = driver.poller.poll

    async def send(*given: Any, **named: Any) -> Any:
        if moment == "intent":  # committed, and nothing said to anybody
            die()
        if moment == "submit":  # the command is on its way, or at it
            threading.Timer(SUBMITTING_S, die).start()
        answer = await real(*given, **named)
        if moment in ("submit", "answer"):  # it was told, and not written down
            die()
        return answer

    async def first_look() -> bool:
        die()  # written down; nobody has called back
        return await look()

    driver.state.cluster.send = send  # type: ignore[method-assign]
    if moment == "id":
        driver.poller.poll = first_look  # type: ignore[method-assign]


async def drive(driver: SlurmDriver) -> None:
    """Turn after turn, until death."""
    await driver.adopt()
    while True:
        await driver.turn()
        await asyncio.sleep(0.05)


async def main(spec: dict[str, Any]) -> None:
    """Drive until death."""
    server = Sshd(Path(spec["sshd"]), spec["port"], None)  # type: ignore[arg-type]
    engine = make_engine(spec["database"])
    driver = SlurmDriver(
        Site.model_validate(spec["site"]),
        engine,
        KEYS,
        spec["callback"],
        Path(spec["runner"]),
        SshLink(server.address()),
    )
    arm(driver, spec["moment"])
    await drive(driver)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
