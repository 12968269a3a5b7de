"""The events the refinery emits, as plain dicts for Prefect's events API.

An event is a wake-up call and never the truth. One that announces a callback has an id made
of what it announces, so announcing twice is announcing once.
"""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

SESSION_READY = "specimen.session.ready"
SESSION_WAKE = "specimen.session.wake"
SESSION_FINISHED = "specimen.session.finished"
ASSET_FINALISED = "specimen.asset.finalised"
ASSET_ATTENTION = "specimen.asset.attention"
JOB_QUEUED = "hpc.job.queued"
JOB_STARTED = "hpc.job.started"
JOB_FINISHED = "hpc.job.finished"
JOB_FAILED = "hpc.job.failed"
JOB_LOST = "hpc.job.lost"
JOB_OVERDUE = "hpc.job.overdue"
STAGE_FAILING = "specimen.stage.failing"
PIPELINE_CHANGED = "specimen.pipeline.changed"
SITE_DEGRADED = "specimen.site.degraded"
SITE_RECOVERED = "specimen.site.recovered"
ARCHIVE_DOWN = "specimen.archive.down"
ARCHIVE_UP = "specimen.archive.up"
SERVICE_SILENT = "specimen.service.silent"
STORAGE_FILLING = "specimen.storage.filling"
ALARM_BEGAN = "specimen.alarm.began"
ALARM_CONTINUES = "specimen.alarm.continues"
ALARM_ENDED = "specimen.alarm.ended"
ALARMS_TOLD = "specimen.alarms.told"

NAMESPACE = uuid5(NAMESPACE_URL, "specimen-refinery/events")


def resource_id(kind: str, name: object) -> str:
    """`specimen.<kind>.<name>`, the resource of an asset, session, site, pipeline, …"""
    return f"specimen.{kind}.{name}"


def callback_id(attempt: int, kind: str, n: int = 0) -> UUID:
    """The id of the event that announces the `n`-th callback of a kind for an attempt."""
    return uuid5(NAMESPACE, f"{attempt}/{kind}/{n}")


def session_event(
    event: str,
    session: UUID | str,
    *,
    payload: dict[str, Any] | None = None,
    id: UUID | None = None,
) -> dict[str, Any]:
    """An event of a session: ready, wake or finished."""
    return _event(event, resource_id("session", session), {}, payload, id)


def asset_event(
    event: str,
    guid: str,
    *,
    session: UUID | str,
    pipeline: str | None = None,
    site: str | None = None,
    payload: dict[str, Any] | None = None,
    id: UUID | None = None,
) -> dict[str, Any]:
    """An event of an asset, findable by its session, pipeline and site."""
    related = {"session": session, "pipeline": pipeline, "site": site}
    return _event(event, resource_id("asset", guid), related, payload, id)


def job_event(
    event: str,
    guid: str,
    *,
    attempt: int,
    n: int = 0,
    stage: str,
    session: UUID | str,
    pipeline: str,
    site: str | None = None,
    payload: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a callback announces: `hpc.job.*`, its id made of attempt, kind and n."""
    return asset_event(
        event,
        guid,
        session=session,
        pipeline=pipeline,
        site=site,
        payload={"attempt": attempt, "stage": stage, **(payload or {})},
        id=callback_id(attempt, event, n),
    )


def system_event(
    event: str,
    kind: str,
    name: str,
    *,
    pipeline: str | None = None,
    payload: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An event of no single asset: of a stage, pipeline, site, archive, service or storage."""
    return _event(event, resource_id(kind, name), {"pipeline": pipeline}, payload, None)


def _event(
    event: str,
    resource: str,
    related: Mapping[str, object],
    payload: dict[str, Any] | None,
    id: UUID | None,
) -> dict[str, Any]:
    return {
        "event": event,
        "resource": {"prefect.resource.id": resource},
        "related": [
            {"prefect.resource.id": resource_id(role, name), "prefect.resource.role": role}
            for role, name in related.items()
            if name is not None
        ],
        "payload": payload or {},
        "id": str(id or uuid4()),
    }
