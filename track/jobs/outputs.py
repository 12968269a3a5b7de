"""Files that came about at a site and are to be here before their job is done.

A result lists them; the site's driver brings them; the attempt's result then says so.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.files import Output
from schemas.guid import check_guid
from track.jobs.attempts import note_reason
from track.jobs.moves import lock
from track.records.wake import wake
from track.schema.states import AT_SITE, State

OUTPUTS_WAIT = "its outputs "
"""How the reason begins for which a job that came back waits, where its driver has one."""

OUTSTANDING = """(t.outcome = 'done' AND jsonb_array_length(t.result -> 'outputs') > 0
    AND NOT t.result ? 'retrieved')"""
"""Whether what attempt `t` made has yet to be brought."""

AWAITED = f"""(j.state = 'returned' AND coalesce((
    SELECT {OUTSTANDING} FROM track.attempt t WHERE t.id = j.attempt_id), false))"""
"""Whether what job `j` made at its site has yet to be brought: till then nobody here is needed."""

STANDING = text(f"""
    SELECT j.id, CASE WHEN {AWAITED} THEN 'running' ELSE j.state END AS state
    FROM track.job j WHERE j.id = ANY(:jobs)
""")
WANTED = text(f"""
    SELECT t.id AS attempt, j.asset_guid AS guid, s.key AS stage, t.result -> 'outputs' AS outputs,
           s.kind
    FROM track.job j
    JOIN track.attempt t ON t.id = j.attempt_id AND t.site = :site AND {OUTSTANDING}
    JOIN track.stage s ON s.id = j.stage_id
    WHERE j.state = 'returned'
    ORDER BY t.id
""")
HOLD_AWAITED = text(f"""
    WITH met AS (
        SELECT j.id FROM track.job j JOIN track.attempt t ON t.id = j.attempt_id
        WHERE j.id = ANY(:jobs) AND j.state = 'returned' AND NOT j.held AND {OUTSTANDING}
        ORDER BY j.id
        FOR NO KEY UPDATE OF j SKIP LOCKED FOR SHARE OF t SKIP LOCKED
    )
    UPDATE track.job j SET held = true FROM met WHERE j.id = met.id RETURNING j.id
""")
"""Leaves jobs aside, as `track.jobs.candidates` does, until `_note` lets them go on."""
RELEASE = text("UPDATE track.job SET held = false WHERE id = ANY(:jobs) AND state = 'returned'")
NOTE = text("""
    UPDATE track.attempt SET result = result || jsonb_build_object('retrieved', CAST(:why AS text))
    WHERE id = :attempt
    RETURNING job_id
""")
IS_AWAITED = text(f"SELECT {AWAITED} FROM track.job j WHERE j.id = :job")
MISSING = text("""
    SELECT j.id, CASE WHEN coalesce(jsonb_array_length(t.result -> 'outputs'), 0) = 0 THEN ''
                      ELSE t.result ->> 'retrieved' END AS trouble
    FROM track.job j JOIN track.attempt t ON t.id = j.attempt_id WHERE j.id = ANY(:jobs)
""")


@dataclass(frozen=True)
class Outputs:
    """What one attempt left at its site, named from its asset's folder there.

    `in_stage_folder`: each name begins with the stage's own folder, where a command runs.
    """

    attempt: int
    guid: str
    stage: str
    files: tuple[Output, ...]
    in_stage_folder: bool = False

    def home(self, folder: Path) -> Path:
        """Below which folder of `folder` they are to be: `<guid>/<stage>/…` they are in the end.

        Raises GuidError for names that would lead elsewhere.
        """
        return home_of(folder, self.guid, self.stage, in_stage_folder=self.in_stage_folder)


def home_of(folder: Path, guid: str, stage: str, *, in_stage_folder: bool) -> Path:
    """Below which folder of `folder` a stage's outputs are to be, as `Outputs.home` has it."""
    asset = folder / check_guid(guid)
    return asset if in_stage_folder else asset / check_guid(stage)


async def wanted_outputs(tx: AsyncConnection, site: str) -> list[Outputs]:
    """What is to be brought from a site, oldest attempt first."""
    found = []
    for row in await tx.execute(WANTED, {"site": site}):
        # Checked when the result came: a rule made since must not keep others from being brought.
        files = tuple(Output.model_construct(**each) for each in row.outputs)
        own = row.kind == "command"
        found.append(Outputs(row.attempt, row.guid, row.stage, files, own))
    return found


async def note_retrieved(tx: AsyncConnection, attempt: int, trouble: str = "") -> None:
    """Note that all of an attempt's outputs are here, or why they never will be.

    Either way somebody is needed for its job: its session is woken.
    """
    await wake(tx, await _note(tx, attempt, trouble))


async def _note(tx: AsyncConnection, attempt: int, why: str) -> list[int]:
    """Note how an attempt's outputs stand, and let its job go on; the job."""
    mine = text("SELECT job_id FROM track.attempt WHERE id = :attempt")
    await lock(tx, list((await tx.execute(mine, {"attempt": attempt})).scalars()))
    jobs = list((await tx.execute(NOTE, {"attempt": attempt, "why": why})).scalars())
    await tx.execute(RELEASE, {"jobs": jobs})
    return jobs


async def hold_awaited(tx: AsyncConnection, job_ids: Collection[int]) -> list[int]:
    """Leave those of these jobs aside that wait for their outputs; which, but for locked ones."""
    if not job_ids:
        return []
    return list((await tx.execute(HOLD_AWAITED, {"jobs": sorted(job_ids)})).scalars())


async def note_waiting(tx: AsyncConnection, attempt: int, why: str) -> None:
    """Say why the files of an attempt, its inputs or what it made, are still on their way."""
    await note_reason(tx, attempt, why, {*AT_SITE, State.RETURNED})


async def outputs_awaited(tx: AsyncConnection, job_id: int) -> bool:
    """Whether a job came back and waits for what it made at its site."""
    return bool((await tx.execute(IS_AWAITED, {"job": job_id})).scalar_one())


async def forsake_outputs(tx: AsyncConnection, attempt: int, why: str) -> None:
    """Wait no longer for an attempt's outputs; its job is the caller's to move on."""
    await _note(tx, attempt, why)


async def standing_at_sites(tx: AsyncConnection, job_ids: Collection[int]) -> dict[int, State]:
    """The states of jobs for whoever waits until their sites are done with them.

    One that came back is running on while its outputs are brought.
    """
    rows = await tx.execute(STANDING, {"jobs": sorted(job_ids)})
    return {row.id: State(row.state) for row in rows}


async def retrievals(tx: AsyncConnection, job_ids: Collection[int]) -> dict[int, str | None]:
    """How the outputs of returned jobs stand: None while they are awaited, empty once they are
    here (or there are none), else why they never will be."""
    rows = await tx.execute(MISSING, {"jobs": sorted(job_ids)})
    return {row.id: row.trouble for row in rows}


async def retrieval(tx: AsyncConnection, job_id: int) -> str | None:
    """How one returned job's outputs stand, as `retrievals` has it."""
    return (await retrievals(tx, [job_id])).get(job_id)
