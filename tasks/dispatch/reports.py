"""The session's table in the Prefect UI: one artifact, updated as its specimens travel."""

import asyncio
import json
import logging
from uuid import UUID

import httpx
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.exceptions import PrefectException

from tasks.dispatch.dispatcher import Dispatcher
from track.records.sessions import dropped_as
from track.reports.progress import session_progress
from track.schema.database import transact

EVERY_S = 5.0

log = logging.getLogger(__name__)


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
            await asyncio.sleep(EVERY_S)

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
        key = f"session-{self._dispatcher.session_id}"
        title = f"{await self._folder()}: every specimen and where it stands"
        artifact = Artifact(type="table", key=key, description=title, data=table)
        created = await artifact.acreate()
        self._artifact_id = created.id

    async def _folder(self) -> str:
        """Where the session's folder lay when it was dropped: how people know it."""
        return await transact(self._dispatcher.engine, dropped_as, self._dispatcher.session_id)


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
