"""Scripts that are already at a site: run once per attempt on its login node.

They submit for themselves and report by the paths they have always called. A script that
was begun and whose exit code is not known is never run again: it may have submitted. Nor is
one that failed once its job was known: that job asks for no start, so two would both work.
"""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.ends import Meaning
from hpc.sites.collect import report
from hpc.sites.scripts import script_command
from hpc.sites.slurm.state import SiteState
from hpc.sites.slurm.submitter import Submitter
from track.commands.legacy import warn
from track.jobs.attempts import find_attempt
from track.jobs.batches import Batch, mark_submitted, read_batches
from track.jobs.scripts import submitted_ids
from track.schema.database import transact

log = logging.getLogger(__name__)


@dataclass
class SiteScripts:
    """Runs scripts in `site.scripts`; `file_proxy` is the base of the links they are given."""

    state: SiteState
    submitter: Submitter
    file_proxy: str = ""

    async def run_due(self) -> bool:
        """Run every script that is due, one after another; whether there was any.

        Raises WireError, TruncatedAnswer, SiteTrouble; the script then stays unconfirmed.
        """
        due = self.submitter.due(self.state.clock())
        batches = await transact(self.state.engine, read_batches, due)
        scripts = [batch for batch in batches if batch.is_script]
        for batch in scripts:
            await self._run(batch)
        return bool(scripts)

    async def _run(self, batch: Batch) -> None:
        state, member = self.state, batch.members[0]
        async with state.engine.connect() as connection:
            command = await script_command(connection, member, self.file_proxy)
        folder = state.site.scripts or state.site.root
        # Each key runs once: a cancelled script can be begun by nobody after this.
        words = ["false"] if member.cancelled else command.with_environment
        code, output = await state.cluster.script(batch.key, folder, words)
        if code == "busy":
            return
        if code == "unknown":
            line = shlex.join(command.words)
            log.error("%s: %s was begun and its end is not known", batch.key, line)

        async def work(tx: AsyncConnection) -> None:
            ids = submitted_ids(output)
            await mark_submitted(tx, batch.id, ",".join(ids) or f"script {batch.key}")
            if code not in ("0", "unknown"):
                await self._failed(tx, member.attempt, code, command.ended(code, output), ids)

        await transact(state.engine, work)
        self.submitter.confirm(batch.id)

    async def _failed(
        self, tx: AsyncConnection, attempt_id: int, code: str, why: str, ids: Sequence[str]
    ) -> None:
        """End the attempt; one whose job the cluster has stays open, with a warning."""
        found = await find_attempt(tx, attempt_id, lock=True)
        native_id = (found and found.native_id) or next(iter(ids), None)
        if found is not None and found.current and native_id is not None:
            warning = f"its job {native_id} may still run, though {why}"
            log.warning("%s", warning, extra=found.about)
            await warn(tx, found.job_id, warning)
            return
        outcome = "cancelled" if found is not None and found.cancel_requested else "failed"
        await report(
            tx,
            attempt_id,
            Meaning(outcome, True, why),
            actor=self.state.actor,
            exit_code=int(code) if code.isdecimal() else None,
        )
