"""What Prefect shows of a session: its table, updated as its specimens travel, and two events.

A session of more than `LISTED` assets is shown in numbers, with those that need a person.
People and other systems may listen to the events; nothing of ours waits for them.
"""

import asyncio
import json
import logging
import time
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import ASSET_FINALISED, SESSION_FINISHED, asset_event, session_event
from tasks.background import keep
from tasks.dispatch.dispatcher import Dispatcher
from tasks.dispatch.session_page import session_page
from track.jobs.claims import Claim
from track.records.sessions import dropped_as
from track.reports.progress import session_progress
from track.reports.session_counts import has_more_assets, session_counts
from track.schema.database import transact

REFRESH_S = 5.0
SHARE = 0.05
"""Of the time, at most, is spent on what is shown."""
LISTED = 500
"""Assets up to which each has a line of its own."""
WITH_PERSON = 200
"""Lines, at most, for those of a larger session that need a person."""

log = logging.getLogger(__name__)


def announce_finalised(dispatcher: Dispatcher, claim: Claim) -> None:
    """Emit that a specimen was finalised."""
    session, pipeline = dispatcher.session_id, claim.pipeline
    _emit(asset_event(ASSET_FINALISED, claim.guid, session=session, pipeline=pipeline))


def announce_finished(dispatcher: Dispatcher) -> None:
    """Emit that nothing of a session moves by itself any more."""
    payload = {"subflows": dispatcher.started}
    _emit(session_event(SESSION_FINISHED, dispatcher.session_id, payload=payload))


def _emit(found: dict[str, Any]) -> None:
    emit_event(**{name: found[name] for name in ("event", "resource", "related", "payload")})


class _Text(Artifact):
    """An artifact whose data are text already: Prefect's own would write it as JSON once more."""

    async def aformat(self) -> str:
        return str(self.data)


def pause_after(took_s: float) -> float:
    """Seconds until the next look, after one that took so many."""
    return max(REFRESH_S, took_s * (1 - SHARE) / SHARE)


class SessionReport:
    """Keeps what is shown of one session up to date until `close`; failures cost only that."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._artifact_id: UUID | None = None
        self._shown = ("", "")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SessionReport":
        self._task = keep(self._keep, "the session's table")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.show()

    async def _keep(self) -> None:
        while True:
            began = time.monotonic()
            await self.show()
            await asyncio.sleep(pause_after(time.monotonic() - began))

    async def show(self) -> None:
        """Write the table, or the numbers, when they differ from what was written last."""
        try:
            content = await transact(self._dispatcher.engine, self._content)
            if content == self._shown:
                return
            await self._write(*content)
        except (httpx.HTTPError, PrefectException, SQLAlchemyError) as error:
            log.info("the session's table could not be written: %s", error)
            return
        self._shown = content

    async def _content(self, tx: AsyncConnection) -> tuple[str, str]:
        """The kind of artifact that suits the session's size, and what it holds."""
        session_id = self._dispatcher.session_id
        if await has_more_assets(tx, session_id, LISTED):
            return "markdown", session_page(await session_counts(tx, session_id, WITH_PERSON))
        rows = await session_progress(tx, session_id)
        return "table", json.dumps([_line(row) for row in rows], ensure_ascii=False)

    async def _write(self, kind: str, data: str) -> None:
        if self._artifact_id is not None and kind == self._shown[0]:
            async with get_client() as client:
                await client.update_artifact(self._artifact_id, ArtifactUpdate(data=data))
            return
        session_id = self._dispatcher.session_id
        # Where its folder lay when it was dropped: how people know it.
        folder = await transact(self._dispatcher.engine, dropped_as, session_id)
        what = "every specimen and where it stands" if kind == "table" else "where it stands"
        key = f"session-{session_id}"
        artifact = _Text(type=kind, key=key, description=f"{folder}: {what}", data=data)
        self._artifact_id = (await artifact.acreate()).id


def _line(row: dict[str, object]) -> dict[str, object]:
    """One asset as a person reads it."""
    stages: list[dict[str, str]] = row["stages"]  # type: ignore[assignment]
    now = next((s for s in stages if s["state"] not in ("done", "excluded", "absent")), None)
    end = "finalised" if row["finalised"] else "quarantined" if row["quarantine"] else ""
    return {
        "specimen": row["guid"],
        "state": end or ("done" if now is None else now["state"]),
        "stage": "" if now is None else now["key"],
        "reason": row["quarantine"] or row["attention"] or (now or {}).get("reason") or "",
        "subject": row["subject"],
        "barcodes": ", ".join(row["barcodes"]),  # type: ignore[arg-type]
    }
