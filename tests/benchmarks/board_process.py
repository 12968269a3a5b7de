"""A board and those who look at it, in a process of their own: the road pays only for what it
shares with them, the machine and the database.

Reads `open` and `close` from stdin, and answers with a line once all streams have their first
part, or are gone. Arguments: the database's URL, and how many look.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import httpx

from board.app import create_app
from tests.support.board import board_config
from tests.support.serving import free_port, serving


async def follow(client: httpx.AsyncClient, has_first: asyncio.Event) -> None:
    """Read one stream until cancelled."""
    async with client.stream("GET", "/live/today") as answer:
        async for line in answer.aiter_lines():
            if line == "event: part":
                has_first.set()


async def serve(url: str, watchers: int) -> None:
    """Until stdin ends. A stream that broke ends it at its close."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            serving(create_app(board_config(url)), free_port())
        )
        limits = httpx.Limits(max_connections=watchers)
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=address, limits=limits, timeout=60)
        )
        streams: list[asyncio.Task[None]] = []
        while order := (await reader.readline()).strip():
            if order == b"open":
                firsts = [asyncio.Event() for _ in range(watchers)]
                streams = [asyncio.create_task(follow(client, each)) for each in firsts]
                await asyncio.gather(*(each.wait() for each in firsts))
            else:
                for each in streams:
                    each.cancel()
                await asyncio.gather(*streams, return_exceptions=True)
                streams = []
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
