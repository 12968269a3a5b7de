"""What Prefect shows of a session: its page, updated as its specimens travel, and two events.

Numbers and those that need a person; in a session of at most `LISTED` assets every one of them.
People and other systems may listen to the events; nothing of ours waits for them.
"""

import asyncio
import logging
import os
import re
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
from tasks.dispatch.session_page import Heading, session_page
from track.jobs.claims import Claim
from track.records.sessions import SessionName, name_of
from track.reports.progress import session_progress
from track.reports.session_counts import has_more_assets, session_counts
from track.schema.database import transact

REFRESH_S = 5.0
SHARE = 0.05
"""Of the time, at most, is spent on what is shown."""
LISTED = 500
"""Assets up to which each has a line of its own."""
WITH_PERSON = 200
"""Lines, at most, for those that need a person."""

BOARD = "REFINERY_BOARD_URL"
"""The variable that says where the board is: flows read no settings."""

log = logging.getLogger(__name__)


def announce_finalised(dispatcher: Dispatcher, claim: Claim) -> None:
    """Emit that a specimen was finalised."""
    session, pipeline = dispatcher.session_id, claim.pipeline
    log.info("finalised", extra={"guid": claim.guid})
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
        self._board = os.environ.get(BOARD, "")
        self._artifact_id: UUID | None = None
        self._shown = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SessionReport":
        self._task = keep(self._keep, "the session's page")
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
        """Write the page when it differs from what was written last."""
        try:
            name, content = await transact(self._dispatcher.engine, self._content)
            if content == self._shown:
                return
            await self._write(name, content)
        except (httpx.HTTPError, PrefectException, SQLAlchemyError) as error:
            log.info("the session's page could not be written: %s", error)
            return
        self._shown = content

    async def _content(self, tx: AsyncConnection) -> tuple[SessionName, str]:
        """How people know the session, and its page; a large one is not listed."""
        session_id = self._dispatcher.session_id
        name = await name_of(tx, session_id)
        counts = await session_counts(tx, session_id, WITH_PERSON)
        lines = None
        if not await has_more_assets(tx, session_id, LISTED):
            lines = [_line(row) for row in await session_progress(tx, session_id)]
        return name, session_page(counts, Heading(session_id, name, self._board), lines)

    async def _write(self, name: SessionName, data: str) -> None:
        if self._artifact_id is not None:
            async with get_client() as client:
                await client.update_artifact(self._artifact_id, ArtifactUpdate(data=data))
            return
        about = f"{name}: where it stands"
        artifact = _Text(type="markdown", key=artifact_key(name), description=about, data=data)
        self._artifact_id = (await artifact.acreate()).id


def artifact_key(name: SessionName) -> str:
    """What Prefect files the page of a session under: small letters, digits and dashes.

    A folder name that is used again goes on under the same key: its page says which session it is.
    """
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-") or "session"


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
