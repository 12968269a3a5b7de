"""A carrying driver in a process of its own that kills itself while it sends a file.

`python -m tests.support.dying_carrier SPEC`, as `dying_driver`. `sending`: in the middle of
the file's bytes; `sent`: the archive has said yes, and nobody has written it down.
"""

import asyncio
import json
import sys
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
from schemas.attempts import FileFacts
from schemas.sites import Site
from tests.support.callbacks import KEYS
from tests.support.dying_driver import die, drive
from track.schema.database import make_engine

MOMENTS = ("sending", "sent")
BLOCKS = 3
"""After so many megabytes the process ends."""


class DyingDepot(ArsShares):
    """Dies once the archive has a file."""

    async def send(self, shelf: ShareLocation, file: FileFacts, path: Path) -> None:
        await super().send(shelf, file, path)
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


async def main(spec: dict[str, Any]) -> None:
    """Drive until death."""
    if spec["moment"] == "sending":
        die_in_the_middle()
    archive = ArsAddress(**{**spec["archive"], "users": tuple(spec["archive"]["users"])})
    server = Sshd(Path(spec["sshd"]), spec["port"], None)  # type: ignore[arg-type]
    driver = SlurmDriver(
        Site.model_validate(spec["site"]),
        make_engine(spec["database"]),
        KEYS,
        "",
        Path(spec["runner"]),
        SshLink(server.address()),
        archive_shares=DyingDepot(archive),
    )
    await drive(driver)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
