"""The clusters of the property test: native jobs, a driver's evidence, and a bad network."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc import protocol
from hpc.callers import MessageRefused, RunnerCaller
from hpc.ends import of_runner
from hpc.sites.collect import report
from schemas.attempts import Complete, Fail, Result, Start
from tests.faults.truth.world import Actor, Truth
from track.jobs.batches import Batch, Member, mark_ended, mark_submitted, read_batches
from track.jobs.batching import take_batches

Call = Callable[[AsyncConnection], Awaitable[object]]


@dataclass
class Native:
    """One process on a cluster that believes it runs one line of a batch."""

    name: str
    member: Member
    granted: bool = False
    over: bool = False

    @property
    def who(self) -> dict[str, str]:
        """How it introduces itself; every process has a nonce of its own."""
        return {"native_id": self.name, "nonce": f"nonce of {self.name}"}


@dataclass
class Message:
    """A message that is under way."""

    what: str
    attempt: int
    fence: int
    call: Callable[[AsyncConnection, int, int], Awaitable[object]]


@dataclass
class Network:
    """What is under way to us: it comes late, twice, in any order, or with an old fence."""

    truth: Truth
    messages: list[Message] = field(default_factory=list)
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "network")

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            if not self.messages:
                await self.me.turn("nothing to deliver", 0.1)
                continue
            message = self.me.rng.choice(self.messages)
            if not self.me.chance(0.3):
                self.messages.remove(message)
            older = self.me.rng.choice((1, -1)) if self.me.chance(0.1) else 0
            await self.deliver(message, self.me, older)

    async def deliver(self, message: Message, me: Actor, older: int = 0) -> None:
        """Make the call a message holds; what is refused has no effect."""
        fence = message.fence + older
        try:
            await me.do(
                f"{message.what} of attempt {message.attempt}, fence {fence}",
                lambda tx: message.call(tx, message.attempt, fence),
            )
        except MessageRefused as refusal:
            self.truth.turns.note(me.name, f"  refused: {refusal}")


@dataclass
class Cluster:
    """One site: its driver and whatever runs there. The driver may forget; the site does not."""

    truth: Truth
    network: Network
    site: str
    grants: dict[int, list[Native]] = field(default_factory=dict)
    batches: dict[int, list[Native]] = field(default_factory=dict)
    results: dict[int, list[Message]] = field(default_factory=dict)
    born: int = 0
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, self.site)

    async def run(self) -> None:
        """Driver and native jobs, one step of one of them at a time."""
        while True:
            alive = [(b, n) for b, natives in self.batches.items() for n in natives if not n.over]
            drawn = self.me.rng.random()
            if alive and drawn < 0.7:
                await self._step(*self.me.rng.choice(alive))
            elif self.batches and drawn < 0.3:
                await self._close_ended()
            else:
                await self._take()

    async def _take(self) -> None:
        taken = await self.me.do(
            "take batches",
            lambda tx: take_batches(tx, self.site, members=6, size=3, batches=2),
            weight=0.5 if self.batches else 0.15,
        )
        for batch_id in taken:
            self.batches[batch_id] = []
        if self.me.chance(0.1):
            return  # the driver is killed before it sends them
        for batch_id in taken:
            await self._launch(batch_id)

    async def _launch(self, batch_id: int) -> None:
        """Send a batch; sent again in doubt, its members run twice."""
        batch = await self._read(batch_id)
        await self.me.do("submitted", lambda tx: mark_submitted(tx, batch_id, f"s{batch_id}"))
        for _ in range(2 if self.me.chance(0.15) else 1):
            for member in batch.members:
                self.born += 1
                native = Native(f"{self.site}-{self.born}", member)
                self.batches[batch_id].append(native)

    async def _read(self, batch_id: int) -> Batch:
        (batch,) = await self.me.do("read", lambda tx: read_batches(tx, [batch_id]))
        return batch

    async def _step(self, batch_id: int, native: Native) -> None:
        if self.me.chance(0.08):
            native.over = True  # killed without a word
            return
        member = native.member
        if not native.granted:
            await self._start(native)
            return
        message = Message("its end", member.attempt, member.fence, self._ending(native))
        native.over = True
        if self.me.chance(0.4):
            self.network.messages.append(message)
            if self.me.chance(0.5):
                self.results.setdefault(batch_id, []).append(message)
            return
        await self.network.deliver(message, self.me)

    async def _start(self, native: Native) -> None:
        member, body = native.member, Start(**native.who)
        message = Message("start", member.attempt, member.fence, _starting(body))
        if self.me.chance(0.1):
            self.network.messages.append(message)  # its connection breaks: the call may still come
            return
        try:
            await self.me.do(
                f"{native.name} starts {member.guid} {member.stage} (attempt {member.attempt})",
                lambda tx: message.call(tx, member.attempt, member.fence),
            )
        except MessageRefused as refusal:
            self.truth.turns.note(self.site, f"  refused: {refusal}")
            native.over = True
            return
        native.granted = True
        self._note_grant(native)
        if self.me.chance(0.1):
            self.network.messages.append(message)

    def _note_grant(self, native: Native) -> None:
        """Nothing happens twice: one process per attempt, and none beside one that still runs."""
        granted = self.grants.setdefault(native.member.attempt, [])
        assert all(other is native for other in granted), f"two grants: {native}, {granted}"
        granted.append(native)

    def _ending(self, native: Native) -> Callable[[AsyncConnection, int, int], Awaitable[object]]:
        drawn = self.me.rng.random()
        if drawn < 0.2 and not self.truth.calm:
            status = "RETRY" if drawn < 0.16 else "ERROR"
            failure = Fail(**native.who, fail_status=status, message="no luck")
            return lambda tx, attempt, fence: protocol.fail(
                tx, RunnerCaller(attempt, fence), failure
            )
        result = Result.model_validate(result_of(self.me.rng, native.member))
        body = Complete(**native.who, result=result)
        return lambda tx, attempt, fence: protocol.complete(tx, RunnerCaller(attempt, fence), body)

    async def _close_ended(self) -> None:
        """The driver's evidence: what left a result is collected before anything is called lost."""
        await self._stop_cancelled()
        for batch_id, natives in list(self.batches.items()):
            if not natives:
                await self._launch(batch_id)  # a driver that comes back adopts it
            elif all(native.over for native in natives):
                for message in self.results.pop(batch_id, []):
                    await self.network.deliver(message, self.me)
                await self._report(batch_id)
                del self.batches[batch_id]
                return

    async def _stop_cancelled(self) -> None:
        for batch_id in list(self.batches):
            batch = await self._read(batch_id)
            gone = {member.attempt for member in batch.members if member.cancelled}
            for native in self.batches[batch_id]:
                native.over = native.over or native.member.attempt in gone

    async def _report(self, batch_id: int) -> None:
        code = self.me.rng.choice((None, 0, 1, 143))

        async def work(tx: AsyncConnection) -> None:
            for member in (await read_batches(tx, [batch_id]))[0].members:
                if member.open:
                    found = of_runner(code, started=member.started)
                    actor = f"driver:{self.site}"
                    await report(tx, member.attempt, found, actor=actor, exit_code=code)
            await mark_ended(tx, batch_id)

        await self.me.do(f"batch {batch_id} has ended with {code}", work)


def result_of(rng: Random, member: Member) -> dict[str, Any]:
    """What a module brings, as chance has it."""
    if member.run == "barcode":
        subject = "device target" if rng.random() < 0.2 else "specimen"
        return {"barcode": {"asset_subject": subject, "barcodes": [f"1{member.attempt}"]}}
    if member.run == "derive":
        made = (400, 72)[: rng.choice((0, 1, 2, 2))]
        return {"derivatives": [_derivative(member.guid, ppi) for ppi in made]}
    return {}


def _starting(body: Start) -> Callable[[AsyncConnection, int, int], Awaitable[object]]:
    return lambda tx, attempt, fence: protocol.start(tx, RunnerCaller(attempt, fence), body)


def _derivative(guid: str, ppi: int) -> dict[str, Any]:
    return {
        "guid": f"{guid}_{ppi}",
        "ppi": ppi,
        "file_format": "jpeg",
        "payload_type": "image",
        "file": {"name": f"{guid}_{ppi}.jpg", "crc32": 1, "size_bytes": 1},
    }
