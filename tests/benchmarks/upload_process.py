"""A server that files are sent to, in a process of its own: the upload API, or a bare PUT.

Prints its address once it serves. A line on stdin has its memory counted from there; at the end of
stdin it prints how much it has taken on since, at most, in MB. Arguments: `ours` or `raw`, a
folder, and for `ours` the database's URL.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.workstations.app import create_app
from tests.support.serving import free_port, serving
from tests.support.workstations import station_config


def raw_app(folder: Path) -> Starlette:
    """Takes a body into a file of that name, as plainly as it can be done safely."""

    async def put(request: Request) -> Response:
        with (folder / request.path_params["name"]).open("wb", buffering=0) as file:
            async for chunk in request.stream():
                file.write(chunk)
            await asyncio.to_thread(os.fsync, file.fileno())
        return Response(status_code=201)

    return Starlette(routes=[Route("/{name}", put, methods=["PUT"])])


def memory_mb(which: str) -> float:
    """Memory of this program in MB: VmRSS now, VmHWM at most.

    Not getrusage: its maximum goes on from the process that started this one.
    """
    found = re.search(
        rf"^{which}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    assert found is not None
    return int(found[1]) / 1024


async def serve(side: str, folder: Path, database: str) -> None:
    """Until stdin ends."""
    app = raw_app(folder) if side == "raw" else create_app(station_config(database, folder))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serving(app, free_port()) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        before = memory_mb("VmRSS")
        while await reader.readline():
            Path("/proc/self/clear_refs").write_text("5")  # the maximum begins anew
            before = memory_mb("VmRSS")
    sys.stdout.write(f"{memory_mb('VmHWM') - before}\n")


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), "".join(sys.argv[3:])))
