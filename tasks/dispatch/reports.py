"""What Prefect shows of a session: its table, updated as its specimens travel, and two events.

People and other systems may listen to the events; nothing of ours waits for them.
"""

import asyncio
import json
import logging
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.events import emit_event
from prefect.exceptions import PrefectException

from schemas.events import ASSET_FINALISED, SESSION_FINISHED, asset_event, session_event
from tasks.dispatch.dispatcher import Dispatcher
from track.jobs.claims import Claim
from track.records.sessions import dropped_as
from track.reports.progress import session_progress
from track.schema.database import transact

REFRESH_S = 5.0

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


class SessionReport:
    """Keeps the table of one session up to date until `close`; failures cost only the table."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._artifact_id: UUID | None = None
        self._shown = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SessionReport":
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.show()

    async def _keep(self) -> None:
        while True:
            await self.show()
            await asyncio.sleep(REFRESH_S)

    async def show(self) -> None:
        """Write the table when it differs from what was written last."""
        session_id = self._dispatcher.session_id
        rows = await transact(self._dispatcher.engine, session_progress, session_id)
        table = json.dumps([_line(row) for row in rows], ensure_ascii=False)
        if table == self._shown:
            return
        try:
            await self._write(table)
        except (httpx.HTTPError, PrefectException) as error:
            log.info("the session's table could not be written: %s", error)
            return
        self._shown = table

    async def _write(self, table: str) -> None:
        if self._artifact_id is not None:
            async with get_client() as client:
                await client.update_artifact(self._artifact_id, ArtifactUpdate(data=table))
            return
        session_id = self._dispatcher.session_id
        # Where its folder lay when it was dropped: how people know it.
        folder = await transact(self._dispatcher.engine, dropped_as, session_id)
        title = f"{folder}: every specimen and where it stands"
        key = f"session-{session_id}"
        artifact = Artifact(type="table", key=key, description=title, data=table)
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
