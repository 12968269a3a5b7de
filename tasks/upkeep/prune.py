"""Pruning: temporary copies go once their time is up and the copies that replace them are proven.

The proof is taken from the archive right before the deletion. Without it the copy is kept, with
the reason in the report; the next sweep looks again.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from blocks.tier import Tier, TierError
from schemas.guid import is_path_safe
from tasks.archive.configured import open_tier
from tasks.errors import FileError
from tasks.files.mounts import need_answer
from tasks.files.originals import NotAsTaken, remove_original
from tasks.files.previews import Previews, keep_picture
from tasks.files.removal import REMOVING, below, remove_tree, size_of
from tasks.log_lines import write_our_lines
from tasks.upkeep.database import open_database
from track.commands.replaced import note_suspect
from track.records import retention
from track.records.files import expected_files
from track.records.retention import Copy
from track.reports.picture import picture_source
from track.schema.database import transact

log = logging.getLogger(__name__)

MAX_LINES = 1000
"""Lines of a report: Prefect's artifacts are read by people."""

OTHER_ORIGINAL = (
    "{name}: what lies on the drive is not what was archived, and is kept: the archive may hold a"
    " part of it only; compare the two, and if the drive's is right, drop it under a guid of its"
    " own in a new folder, else remove it"
)

MAX_SILENCES = 3
"""After so many unanswered questions in a row the rest of a sweep is not asked."""


@dataclass(frozen=True)
class PruneOutcome:
    """What became of one copy. `removed`: it is gone, or would be; sizes in bytes."""

    copy: Copy
    removed: bool
    text: str
    size_bytes: int = 0


class Kept(Exception):
    """The copy stays; the text says why."""


@dataclass
class Pruner:
    """One sweep through the due table."""

    engine: AsyncEngine
    tier: Tier
    drive: Path
    store: Path
    dry_run: bool
    previews: Previews
    silences: int = 0
    at_other_sites: int = 0

    async def sweep(self) -> AsyncIterator[PruneOutcome]:
        """Judge every copy that is due, one after another."""
        self.at_other_sites = await transact(
            self.engine, retention.leave_to_drivers, dry_run=self.dry_run
        )
        after = retention.START
        while page := await transact(self.engine, retention.due, after=after):
            for copy in page:
                yield await self.prune_one(copy)
            after = page[-1].place

    async def prune_one(self, copy: Copy) -> PruneOutcome:
        """Remove one copy, or say why not."""
        try:
            if copy.kind == "ndrive":
                await need_answer(Path(copy.location))
            await self._need_proof(copy)
            await self._keep_picture(copy)
            return await self._remove(copy)
        except NotAsTaken as error:
            reason = str(error)
            await self._note_suspect(copy, error)
        except (Kept, FileError) as error:
            reason = str(error)
        except TierError as error:
            reason = f"the archive: {error}"
        if not self.dry_run:
            await transact(self.engine, retention.note_kept, copy, reason)
        return PruneOutcome(copy, False, reason)

    async def _note_suspect(self, copy: Copy, error: NotAsTaken) -> None:
        """Note on the asset, once, that its original is not what was archived.

        Metadata may well be written anew; what was archived of it counts.
        """
        if not self.dry_run and error.file.suffix.lower() != ".json":
            what = OTHER_ORIGINAL.format(name=error.file.name)
            await transact(self.engine, note_suspect, copy.guid, what, actor="prune")

    async def _need_proof(self, copy: Copy) -> None:
        """Every copy that must exist exists. Raises Kept or TierError."""
        async with self.engine.connect() as connection:
            if (reason := await retention.why_needed(connection, copy)) is not None:
                raise Kept(reason)
            guids = await retention.relatives(connection, copy)
        if not copy.requires:
            raise Kept("its row names no other copy that must exist")
        for required in copy.requires:
            if required != self.tier.durable_name.lower():
                raise Kept(f"it requires a copy of kind {required!r}, which nobody can verify")
            for guid in guids:
                await self._need_durable(guid)

    async def _need_durable(self, guid: str) -> None:
        expected = await transact(self.engine, expected_files, guid)
        if not expected:
            raise Kept(f"no file of {guid} is on record: nothing proves that it is archived")
        if self.silences >= MAX_SILENCES:
            raise Kept("the archive does not answer")
        try:
            verdict = await self.tier.prove(guid, expected)
        except TierError as error:
            self.silences += error.retry_after is not None
            raise
        self.silences = 0
        if not verdict.done:
            raise Kept(f"the archive does not prove {guid}: {verdict.reason}")

    async def _keep_picture(self, copy: Copy) -> None:
        """Keep a small picture of what goes, if one can be made: that stops no removal."""
        if self.dry_run or copy.kind == "site":
            return
        async with self.engine.connect() as connection:
            source = await picture_source(connection, copy.guid)
        if source is not None and (why := await keep_picture(self.previews, source)):
            log.info("no preview of %s is kept: %s", copy.guid, why)

    async def _remove(self, copy: Copy) -> PruneOutcome:
        async def work(tx: AsyncConnection) -> PruneOutcome:
            if not await retention.hold(tx, copy):
                raise Kept("another sweep has it")
            if (reason := await retention.why_needed(tx, copy)) is not None:
                raise Kept(reason)
            outcome = await self._delete(tx, copy)
            if not self.dry_run:
                await retention.note_removed(tx, copy, outcome.text)
            return outcome

        return await transact(self.engine, work)

    async def _delete(self, tx: AsyncConnection, copy: Copy) -> PruneOutcome:
        """Delete the files of a copy whose row and asset are held."""
        if not is_path_safe(copy.guid):
            raise Kept("its guid cannot be the name of a folder")
        match copy.kind:
            case "ndrive":
                found = await retention.original(tx, copy.guid)
                removed = await REMOVING.run(remove_original, self.drive, found, self.dry_run)
                if removed is None:
                    return PruneOutcome(copy, True, "gone already")
                with_folder = " and their folder" if removed.folder else ""
                text = f"{self._verb} {removed.files} files{with_folder}"
                return PruneOutcome(copy, True, text, removed.size_bytes)
            case "store":
                return await self._delete_tree(copy, self.store, Path(copy.location))
            case _:
                root = Path(await retention.site_root(tx, copy.location)).absolute() / "assets"
                return await self._delete_tree(copy, root, root / copy.guid)

    async def _delete_tree(self, copy: Copy, root: Path, folder: Path) -> PruneOutcome:
        steps = below(root, folder, depth=1)
        if steps != (copy.guid,):
            raise Kept(f"{folder} is not the folder of {copy.guid}")
        look_or_remove = size_of if self.dry_run else remove_tree
        freed = await REMOVING.run(lambda _: look_or_remove(root, steps))
        if freed is None:
            return PruneOutcome(copy, True, "gone already")
        return PruneOutcome(copy, True, f"{self._verb} its folder", freed)

    @property
    def _verb(self) -> str:
        return "would remove" if self.dry_run else "removed"


@asynccontextmanager
async def pruning(*, dry_run: bool) -> AsyncIterator[Pruner]:
    """A sweep with what it needs."""
    write_our_lines()
    drive: NDrive = await NDrive.aload("default")
    store: LocalStore = await LocalStore.aload("default")
    previews = Previews(store.previews_folder, store.root, drive.root)
    try:
        async with open_database() as engine, open_tier() as tier:
            yield Pruner(engine, tier, drive.root, store.root, dry_run, previews)
    finally:
        previews.close()


async def report(pruner: Pruner, outcomes: Sequence[PruneOutcome]) -> State:
    """Show the sweep as a table in the UI, and sum it up in one line."""
    run_log = get_run_logger()
    for each in outcomes:
        run_log.info("%s copy of %s at %s: %s", each.copy.kind, each.copy.guid,
                     each.copy.location, each.text)  # fmt: skip
    removed = [each for each in outcomes if each.removed]
    size_mb = sum(each.size_bytes for each in removed) / 1_000_000
    verb = "would remove" if pruner.dry_run else "removed"
    summary = (
        f"{verb} {len(removed)} copies, {size_mb:.1f} MB; kept {len(outcomes) - len(removed)}; "
        f"left to other sites' drivers {pruner.at_other_sites}"
    )
    if outcomes or pruner.dry_run:
        await Artifact(
            type="table", key="prune", description=summary,
            data=[_line(each) for each in outcomes[:MAX_LINES]],
        ).acreate()  # fmt: skip
    return Completed(message=summary)


def _line(each: PruneOutcome) -> dict[str, object]:
    return {
        "specimen": each.copy.guid,
        "copy": each.copy.kind,
        "where": each.copy.location,
        "outcome": each.text,
        "MB": round(each.size_bytes / 1_000_000, 1),
    }
