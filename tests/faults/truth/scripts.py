"""Late calls of scripts in the property test: they name an old job, or bear an old token.

Whatever they say, the job they mean stays where it is; at most what it brought is added.
"""

from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.legacy import effects
from api.legacy.effects import Translation
from hpc.callers import NotTheirs, RunnerCaller
from schemas.callbacks import BarcodeBody, FailJobBody, UpdateAssetBody
from tests.faults.truth.world import Actor, Truth
from track.commands.legacy import bind_job, stage_named
from track.schema.tables import job

CLOSED = """
    SELECT t.id, t.fence, t.started_by, j.asset_guid AS guid, s.key, s.run
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id AND s.archived_at IS NULL
    WHERE t.closed_at IS NOT NULL AND t.started_by IS NOT NULL
    ORDER BY t.id
"""
WHEN = "2026-11-21T10:00:00+01:00"


@dataclass
class LateScripts:
    """Calls again for attempts that are over."""

    truth: Truth
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "scripts")

    async def run(self) -> None:
        """Call now and then, for ever."""
        while True:
            await self.me.turn("thinks", 0.3)
            closed = await self.truth.sql(CLOSED)
            if not closed:
                continue
            attempt_id, fence, native, guid, key, run = self.me.rng.choice(closed)
            if self.me.rng.random() < 0.5:
                # Without a token: its job's id is all that tells it from the current one.
                said = self._by_id(guid, key, native)
            else:
                said = self._by_token(RunnerCaller(attempt_id, fence, relayed=True), guid, key, run)
            await self.me.do(
                f"{said[0].kind} of {guid} {key}, too late",
                lambda tx, k=key, s=said: _call(tx, k, s),  # type: ignore[misc]
                0.3,
            )

    def _by_id(self, guid: str, key: str, native: str) -> Translation:
        status = self.me.rng.choice(("RETRY", "ERROR", "PAUSED"))
        given = {"guid": guid, "job_name": key, "job_id": native, "timestamp": WHEN}
        failure = FailJobBody.model_validate(given | {"fail_status": status})
        calls = (effects.start_job(None, failure), effects.failed_job(None, failure))
        return self.me.rng.choice(calls)

    def _by_token(self, who: RunnerCaller, guid: str, key: str, run: str) -> Translation:
        late = str(self.me.rng.random())
        if run == "barcode":
            subject = self.me.rng.choice(("specimen", "device target"))
            codes = {"barcodes": [late], "asset_subject": subject, "label": False}
            given = {"guid": guid, "job": key, "status": "DONE", "MSO": False, "MOS": False}
            return effects.barcode(who, BarcodeBody.model_validate(given | codes))
        data = {"guid": guid, "job": key, "status": "DONE", "data": {"tags": {"late": late}}}
        return effects.update_asset(who, UpdateAssetBody.model_validate(data))


async def _call(tx: AsyncConnection, key: str, said: Translation) -> None:
    call, message = said
    attempt_id = call.token.attempt_id if call.token else None
    at = await bind_job(tx, call.guid, stage_named(key), attempt_id)
    try:
        became = await message(tx, call)
    except NotTheirs:
        assert at.attempt is None, "its token is that of an attempt of this job"
        return  # its stage was removed, and is another one since it came back
    mine = select(job.c.state, job.c.attempt_id).where(job.c.id == at.job_id)
    after = (await tx.execute(mine)).one()
    assert after.state == at.state, f"{became} moved {call.guid} {key}: {at.state} → {after.state}"
    running = text("SELECT started_by FROM track.attempt WHERE id = :a")
    told = (await tx.execute(running, {"a": after.attempt_id})).scalar_one_or_none()
    assert at.attempt is None or attempt_id or told == at.attempt.started_by, "it was captured"
