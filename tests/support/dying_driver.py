"""A driver in a process of its own that kills itself, as `kill -9` would, at a named moment.

`python -m tests.support.dying_driver SPEC` where SPEC is a JSON file; its own process is the
one thing that ends, at once and without a word. With an `archive` it relays files to it and dies
of one: `sending`, in the middle of its bytes; `sent`, the archive has said yes, and nobody has
written it down.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from blocks.ars_client import ArsAddress
from blocks.ars_client.files import Files
from demo.lab.sshd import Sshd
from hpc.sites.slurm.driver import SlurmDriver
from hpc.sites.slurm.relay import ShareLocation
from hpc.transport.ssh import SshLink
from refinery.archive_shares import ArsShares
from schemas.files import FileFacts
from schemas.sites import Site
from tests.support.callbacks import KEYS
from track.schema.database import make_engine

MOMENTS = ("intent", "submit", "answer", "id")
SUBMITTING_S = 0.05
BLOCKS = 3
"""After so many megabytes of a file the process ends."""


def die() -> None:
    """End at once: nothing is flushed, closed or sent."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(driver: SlurmDriver, moment: str) -> None:
    """Have the driver die at a moment of its first send."""
    real = driver.state.cluster.send
    look = driver.poller.poll

    async def send(*given: Any, **named: Any) -> Any:
        if moment == "intent":  # committed, and nothing sent to anybody
            die()
        if moment == "submit":  # the command is on its way, or at it
            threading.Timer(SUBMITTING_S, die).start()
        answer = await real(*given, **named)
        if moment in ("submit", "answer"):  # it was answered, and the answer not stored
            die()
        return answer

    async def first_look() -> bool:
        die()  # written down; nobody has called back
        return await look()

    driver.state.cluster.send = send  # type: ignore[method-assign]
    if moment == "id":
        driver.poller.poll = first_look  # type: ignore[method-assign]


class DyingShares(ArsShares):
    """Dies once the archive has a file."""

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        await super().send(location, file, path)
        die()


def die_in_the_middle() -> None:
    """Have every upload of this process be its end."""
    real = Files._blocks

    async def blocks(self: Files, source: BinaryIO) -> AsyncIterator[bytes]:
        number = 0
        async for block in real(self, source):
            if number == BLOCKS:
                die()
            number += 1
            yield block

    Files._blocks = blocks  # type: ignore[method-assign]


def shares_of(spec: dict[str, Any]) -> dict[str, Any]:
    """What a driver is given that relays files, ready to die of one."""
    if "archive" not in spec:
        return {}
    if spec["moment"] == "sending":
        die_in_the_middle()
    address = ArsAddress(**{**spec["archive"], "users": tuple(spec["archive"]["users"])})
    return {"archive_shares": DyingShares(address)}


async def main(spec: dict[str, Any]) -> None:
    """Drive until death."""
    server = Sshd(Path(spec["sshd"]), spec["port"], None)  # type: ignore[arg-type]
    driver = SlurmDriver(
        Site.model_validate(spec["site"]),
        make_engine(spec["database"]),
        KEYS,
        spec["callback"],
        Path(spec["runner"]),
        SshLink(server.address()),
        **shares_of(spec),
    )
    if spec["moment"] in MOMENTS:
        arm(driver, spec["moment"])
    await driver.adopt()
    while True:
        await driver.turn()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
