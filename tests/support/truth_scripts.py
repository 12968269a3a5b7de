"""Late calls of scripts in the property test: they name an old job, or bear an old token.

Whatever they say, the job they mean stays where it is; at most what it brought is added.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.legacy import effects
from api.legacy.effects import CallResult
from schemas.callbacks import BarcodeBody, FailJobBody, UpdateAssetBody
from tests.support.truth_world import Actor, Truth
from track.commands.legacy import BoundJob, bind_job, stage_named
from track.schema.tables import job

CLOSED = """
    SELECT t.id, t.started_by, j.asset_guid AS guid, s.key, s.run
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id AND s.archived_at IS NULL
    WHERE t.closed_at IS NOT NULL AND t.started_by IS NOT NULL
    ORDER BY t.id
"""
WHEN = "2026-11-21T10:00:00+01:00"
Effect = Callable[[AsyncConnection, BoundJob], Awaitable[CallResult]]


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
            attempt_id, native, guid, key, run = self.me.rng.choice(closed)
            if self.me.rng.random() < 0.5:
                # Without a token: its job's id is all that tells it from the current one.
                name, effect = self._by_id(guid, key, native)
                bound = None
            else:
                name, effect = self._by_token(guid, key, run)
                bound = attempt_id
            await self.me.do(
                f"{name} of {guid} {key}, too late",
                lambda tx, g=guid, k=key, e=effect, b=bound: _call(tx, g, k, e, b),  # type: ignore[misc]
                0.3,
            )

    def _by_id(self, guid: str, key: str, native: str) -> tuple[str, Effect]:
        status = self.me.rng.choice(("RETRY", "ERROR", "PAUSED"))
        given = {"guid": guid, "job_name": key, "job_id": native, "timestamp": WHEN}
        failure = FailJobBody.model_validate(given | {"fail_status": status})
        calls: dict[str, Effect] = {
            "start_job": lambda tx, at: effects.note_started(tx, at, native),
            "failed_job": lambda tx, at: effects.failed_job(tx, at, failure, 60.0),
        }
        return self.me.rng.choice(sorted(calls.items()))

    def _by_token(self, guid: str, key: str, run: str) -> tuple[str, Effect]:
        if run == "barcode":
            subject = self.me.rng.choice(("specimen", "device target"))
            codes = {"barcodes": ["late"], "asset_subject": subject, "label": False}
            given = {"guid": guid, "job": key, "status": "DONE", "MSO": False, "MOS": False}
            sheet = BarcodeBody.model_validate(given | codes)
            return "barcode", lambda tx, at: effects.barcode(tx, at, sheet)
        data = {"guid": guid, "job": key, "status": "DONE", "data": {"tags": {"late": "x"}}}
        body = UpdateAssetBody.model_validate(data)
        return "update_asset", lambda tx, at: effects.update_asset(tx, at, body)


async def _call(
    tx: AsyncConnection, guid: str, key: str, effect: Effect, attempt_id: int | None
) -> None:
    at = await bind_job(tx, guid, stage_named(key), attempt_id)
    became = await effect(tx, at)
    mine = select(job.c.state, job.c.attempt_id).where(job.c.id == at.job_id)
    after = (await tx.execute(mine)).one()
    assert after.state == at.state, f"{became} moved {guid} {key}: {at.state} → {after.state}"
    running = text("SELECT started_by FROM track.attempt WHERE id = :a")
    told = (await tx.execute(running, {"a": after.attempt_id})).scalar_one_or_none()
    assert at.attempt is None or attempt_id or told == at.attempt.started_by, "it was captured"
