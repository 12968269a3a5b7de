"""Carries messages and files for a site whose nodes have no network.

Grants and inputs go there with the batch, starts and results are fetched, and what a job
made for the archive is sent on from here. Before an attempt that was never started is
declared over, its start is taken on the shared disk, so that no job can have it any more.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc import protocol
from hpc.callers import MessageRefused, RunnerCaller
from hpc.ends import Meaning
from hpc.sites.collect import collect_result, report
from hpc.sites.passing import passing_folder
from hpc.sites.retries import Retries
from hpc.sites.retrieval import TRIES_UNTIL_GONE
from hpc.sites.shipping import tar_pieces
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.transfers import BackgroundTransfers
from schemas.attempts import Grant, LinkedFile, Start, Token
from schemas.files import FileFacts, InnerPath
from track.commands.grants import make_grant
from track.jobs.attempts import find_attempt
from track.jobs.batches import Batch
from track.jobs.outputs import note_waiting
from track.records.documents import NoDocument, read_document
from track.schema.database import transact

NO_TOKEN = Token(token="", expires_in=0)

log = logging.getLogger(__name__)


class ArchiveSharesError(Exception):
    """The archive does not give or take a file now."""


class FileMissing(Exception):
    """A file is not at the site any more; its path. No OSError: those are of our own disk."""


@dataclass(frozen=True)
class ShareLocation:
    """Where an asset's files are in the archive's open share."""

    guid: str
    institution: str
    collection: str


class ArchiveShares(Protocol):
    """The archive's open shares, as a driver reaches them."""

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        """Put a file at `to`, whole and checked. Raises ArchiveSharesError."""

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        """Put `path` into the share; the same again is harmless. Raises ArchiveSharesError."""


class CarriedFile(FileFacts):
    """A file that a job wants sent to the archive; `path` is under the site's `assets`."""

    path: InnerPath


@dataclass
class OfflineRelay:
    """One site's relay; `transfers` move files while the driver's turns go on.

    `carried` are the batches whose inputs were carried, as far as the archive gives them;
    `waiting` the results that want something archived first, by name, and their attempts;
    `missed` how often a file of an attempt was looked for in vain.
    """

    engine: AsyncEngine
    cluster: Cluster
    archive_shares: ArchiveShares
    transfers: BackgroundTransfers
    carried: set[str] = field(default_factory=set)
    waiting: dict[str, int] = field(default_factory=dict)
    missed: dict[int, int] = field(default_factory=dict)
    retries: Retries[str] = field(default_factory=Retries)

    async def provide(self, batch: Batch) -> str | None:
        """The grants of a batch's members, a line each; None while their inputs are carried.

        An input that the archive does not give now is left out: its job will report it.
        Raises WireError, TruncatedAnswer.
        """
        if self.transfers.has(batch.key) or not self.retries.is_due(batch.key):
            return None
        lines = [await transact(self.engine, _grant, each.attempt) for each in batch.members]
        grants = [grant for grant in lines if grant is not None]
        there = await self.cluster.sizes(
            f"{grant.guid}/{file.name}" for grant in grants for file in grant.inputs
        )
        missing: dict[str, list[LinkedFile]] = {}
        for grant in grants:
            for file in grant.inputs:
                if there.get(f"{grant.guid}/{file.name}") != file.size_bytes:
                    missing.setdefault(grant.guid, []).append(file)
        if missing and batch.key not in self.carried:
            self.transfers.begin(batch.key, partial(self._carry, batch, missing))
            return None
        self.carried.discard(batch.key)
        return "".join(f"{grant.model_dump_json() if grant else '{}'}\n" for grant in lines)

    async def _carry(self, batch: Batch, missing: Mapping[str, Sequence[LinkedFile]]) -> None:
        try:
            for guid, files in missing.items():
                await self._carry_inputs(guid, files)
        except OSError as error:  # our own disk: nothing is wrong with the site
            self.retries.fail(batch.key)
            log.error("the inputs of %s wait: they cannot be kept here: %s", batch.key, error)
            why = f"its inputs wait: they cannot be kept here: {error}"
            for member in batch.members:
                await self._note_waiting(member.attempt, why)
        else:
            self.retries.forget(batch.key)
            self.carried.add(batch.key)

    async def _note_waiting(self, attempt_id: int, why: str) -> None:
        await transact(self.engine, note_waiting, attempt_id, why)

    async def _carry_inputs(self, guid: str, files: Sequence[LinkedFile]) -> None:
        location = await self._location(guid)
        with passing_folder() as folder:
            fetched = {}
            for file in files:
                path = folder / file.name
                try:
                    await self.archive_shares.fetch(location, file, path)
                    fetched[f"{guid}/{file.name}"] = path
                except ArchiveSharesError as error:
                    about = {"guid": guid}
                    log.warning("%s is not carried: %s", file.name, error, extra=about)
            if fetched:
                size = sum(file.size_bytes for file in files)
                await self.cluster.place(tar_pieces(fetched, seal=True), size)

    async def _location(self, guid: str) -> ShareLocation:
        async with self.engine.connect() as tx:
            document = await read_document(tx, guid)
        return ShareLocation(guid, document.institution, document.collection)

    async def note_starts(self, starts: Mapping[int, str]) -> dict[int, Start | None]:
        """Apply starts as they lie on the shared disk, by attempt; None: one that is unreadable."""
        found = {attempt_id: _read_start(text) for attempt_id, text in starts.items()}
        for attempt_id, start in found.items():
            if start is not None:
                await self._note_start(attempt_id, start)
        return found

    async def _note_start(self, attempt_id: int, start: Start) -> None:
        async def work(tx: AsyncConnection) -> None:
            found = await find_attempt(tx, attempt_id)
            if found is not None and found.started_by is None:
                await protocol.start(tx, RunnerCaller(attempt_id, found.fence, relayed=True), start)

        try:
            await transact(self.engine, work)
        except MessageRefused as refusal:
            log.info("its start does not count: %s", refusal, extra={"attempt": attempt_id})

    def send_first(self, name: str, text: str) -> int | None:
        """Send what a result wants archived while turns go on, and then apply the result.

        The attempt, which is not over before; None when the result has nothing to wait for.
        """
        attempt_id, files = _to_archive(text)
        if not files:
            return None
        self.waiting[name] = attempt_id
        if self.retries.is_due(name):
            self.transfers.begin(name, partial(self._send_and_apply, name, text, attempt_id, files))
        return attempt_id

    def known(self) -> list[str]:
        """Results that need not be read again now: they would take the place of others."""
        return [
            name
            for name in self.waiting
            if self.transfers.has(name) or not self.retries.is_due(name)
        ]

    async def _send_and_apply(
        self, name: str, text: str, attempt_id: int, files: Sequence[CarriedFile]
    ) -> None:
        if not await self._forward_all(attempt_id, files):
            self.retries.fail(name)
            return
        await collect_result(self.engine, name, text)
        await self.cluster.taken([name])
        self.retries.forget(name)
        del self.waiting[name]

    async def _forward_all(self, attempt_id: int, files: Sequence[CarriedFile]) -> bool:
        """Send files to the archive; False when it does not take them now, or our disk is full.

        A file that is not at the site any more fails its attempt.
        Raises WireError, TruncatedAnswer.
        """
        async with self.engine.connect() as tx:
            found = await find_attempt(tx, attempt_id)
        if found is None or not found.current:
            return True
        location = await self._location(found.guid)
        try:
            for file in files:
                await self._forward(location, file)
        except ArchiveSharesError as error:
            log.warning("its result waits: %s", error, extra=found.about)
            await self._note_waiting(attempt_id, f"its result waits for the archive: {error}")
            return False
        except FileMissing as error:
            self.missed[attempt_id] = self.missed.get(attempt_id, 0) + 1
            if self.missed[attempt_id] < TRIES_UNTIL_GONE:
                await self._note_waiting(attempt_id, f"its result waits for {error} to show there")
                return False
            gone = Meaning("failed", True, f"{error} is not at the site any more")
            await transact(self.engine, report, attempt_id, gone, actor="relay")
        except OSError as error:  # our own disk: nothing is wrong with the site or the job
            log.error("its result waits: no room here: %s", error, extra=found.about)
            await self._note_waiting(attempt_id, f"its result waits, no room here: {error}")
            return False
        self.missed.pop(attempt_id, None)
        return True

    async def _forward(self, location: ShareLocation, file: CarriedFile) -> None:
        owner, _, inner = file.path.partition("/")
        with passing_folder() as folder:
            await self.cluster.outputs.fetch(owner, [inner], file.size_bytes, folder)
            path = folder / inner
            if not path.is_file():
                raise FileMissing(file.path)
            await self.archive_shares.send(location, file, path)

    async def take(
        self, attempts: Iterable[tuple[str, int]]
    ) -> tuple[frozenset[int], dict[int, Start | None]]:
        """Take the starts of attempts, by batch key and id; starts that jobs have are applied.

        Those that are ours now, and those that a job has: by whom, if that can be read.
        Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        ours, starts = await self.cluster.take(attempts)
        return ours, await self.note_starts(starts)


async def _grant(tx: AsyncConnection, attempt_id: int) -> Grant | None:
    """An attempt's grant; None, which its job reports, when nothing is known of it."""
    found = await find_attempt(tx, attempt_id)
    if found is None:
        return None
    try:
        return await make_grant(tx, found, file_proxy="", token=NO_TOKEN)
    except NoDocument:
        return None


def _to_archive(text: str) -> tuple[int, list[CarriedFile]]:
    """A result's attempt, and what it wants sent to the archive: nothing, if it is unreadable."""
    try:
        message = json.loads(text)
        files = [CarriedFile.model_validate(each) for each in message["body"].get("carry", ())]
        return int(str(message["path"]).split("/")[2]), files
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ValidationError):
        return 0, []  # whoever applies it reports that it is unreadable


def _read_start(text: str) -> Start | None:
    try:
        return Start.model_validate_json(text)
    except ValidationError:
        return None
