"""A TCP proxy that is far away: it delays both ways, counts, stalls, and cuts on order."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class DelayProxy:
    """Listens on `port`; `one_way_s` is added to every byte in each direction.

    `cut_after` cuts a connection once that many bytes went from client to server; it is
    used up by that. `stalled` swallows nothing but passes nothing on; `refusing` ends what comes.
    """

    target: int
    one_way_s: float = 0.0
    port: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0
    cut_after: int | None = None
    cuts: int = 0
    stalled: bool = False
    refusing: bool = False
    _loop: asyncio.AbstractEventLoop | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Cut every connection now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        mine = {writer, far_writer}
        self._writers |= mine
        try:
            # A group waits for both ways, also after one of them failed: a pump left behind
            # would belong to nobody and be collected in the middle of some other test.
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(reader, far_writer, up=True))
                ways.create_task(self._pump(far_reader, writer, up=False))
        except* (OSError, _Cut, asyncio.CancelledError):
            # asyncio's streams would complain of a handler that was cancelled.
            for each in mine:
                each.transport.abort()
        finally:
            self._writers -= mine
            for each in mine:
                each.close()

    def _count(self, size: int, *, up: bool) -> int:
        """Count so many bytes; how many of them go through."""
        if not up:
            self.received += size
            return size
        if self.cut_after is not None:
            size = min(size, self.cut_after)
            self.cut_after -= size
        self.sent += size
        return size

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()
        forward = asyncio.ensure_future(self._forward(queue, writer))
        try:
            while piece := await reader.read(65536):
                due = time.monotonic() + self.one_way_s
                if allowed := self._count(len(piece), up=up):
                    queue.put_nowait((due, piece[:allowed]))
                if allowed < len(piece):
                    queue.put_nowait((due, None))
                    self.cut_after = None
                    self.cuts += 1
                    await forward
            queue.put_nowait((time.monotonic() + self.one_way_s, b""))
            await forward
        finally:
            forward.cancel()
            with suppress(asyncio.CancelledError, OSError, _Cut):
                await forward

    async def _forward(
        self, queue: asyncio.Queue[tuple[float, bytes | None]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, piece = await queue.get()
            while self.stalled or (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(0.05 if self.stalled else wait)
            if piece is None:
                raise _Cut
            if not piece:
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()


class _Cut(Exception):
    """The order to cut was reached."""


@contextmanager
def running_proxy(target: int, *, rtt_s: float = 0.0) -> Iterator[DelayProxy]:
    """A proxy to 127.0.0.1:target on a thread of its own."""
    proxy = DelayProxy(target, one_way_s=rtt_s / 2)
    ready, over = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        proxy._loop = asyncio.get_running_loop()
        ready.set()
        await over.wait()
        server.close()
        proxy._cut_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield proxy
    finally:
        assert proxy._loop is not None
        proxy._loop.call_soon_threadsafe(over.set)
        thread.join(60)
