"""Sessions: the list of them, and one with its specimens."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response, StreamingResponse

from board.context import Board, Here
from board.live import live_fragment
from board.reads_kept import ReadsKept
from board.visitors import Reader
from schemas.storable import why_not_storable
from schemas.tabular import UTF8, csv_lines
from schemas.times import with_zone
from track.reports.one_session import (
    PAGE,
    SessionHead,
    SessionStage,
    SessionTotals,
    quarantined_files,
    session_head,
    session_stages,
    session_tiles,
    session_totals,
)
from track.reports.sessions import (
    COUNTED,
    Place,
    SessionFilter,
    SessionState,
    known_workstations,
    list_sessions,
)
from track.reports.time_left import time_left

router = APIRouter()

CSV_PAGE = 1_000
CSV_HEAD = (
    "guid", "file", "parent", "pipeline", "subject", "state", "stage", "reason", "finalised",
)  # fmt: skip
GONE = (
    "There is no such session. Its address may have a typing error; the list of sessions finds it "
    "by its workstation and day."
)


@router.get("/sessions")
async def sessions(here: Here, request: Request, visitor: Reader) -> Response:
    """The newest sessions that fit what is asked for."""
    asked = {
        name: request.query_params.get(name, "").strip()
        for name in ("workstation", "collection", "state", "since", "until", "before")
    }
    wanted, before, faults = _read_filter(asked)
    found = None if faults else await here.read(list_sessions, wanted, before)
    return here.page(
        request,
        "sessions.html",
        visitor,
        422 if faults else 200,
        title="Sessions",
        asked=asked,
        faults=faults,
        found=found,
        after="" if found is None or found.after is None else _mark(found.after),
        workstations=await here.read(known_workstations),
        states=list(SessionState),
        counted=COUNTED,
    )


@router.get("/sessions/{session_id}.csv")
async def session_csv(here: Here, session_id: str, visitor: Reader) -> Response:
    """Every asset of a session and where it stands."""
    head = await _head(here, session_id)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in head.folder)
    return StreamingResponse(
        _csv(here, head.id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name or "session"}.csv"'},
    )


@router.get("/sessions/{session_id}")
async def session(here: Here, request: Request, session_id: str, visitor: Reader) -> Response:
    """One session: how far it is, its specimens, what of it needs a person."""
    head = await _head(here, session_id)
    show = "person" if request.query_params.get("show") == "person" else ""
    after = request.query_params.get("after", "")
    if why_not_storable(after):
        raise HTTPException(422, "after: it is no guid; begin at the first page")
    tiles = await here.read(
        session_tiles, head.id, after=after, most=PAGE + 1, with_person=show == "person"
    )
    return here.page(
        request,
        "session.html",
        visitor,
        title=head.folder,
        head=head,
        standing=await standing(here, head),
        quarantined=await here.read(quarantined_files, head.id),
        tiles=tiles[:PAGE],
        show=show,
        after=after,
        more=tiles[PAGE - 1].guid if len(tiles) > PAGE else "",
    )


async def standing(here: Board, head: SessionHead) -> dict[str, Any]:
    """How far a session is, for its page and for what is sent of it."""
    stages, totals = await here.keep(ReadsKept).of(
        ("session", head.id), lambda: here.read(_counted, head.id)
    )
    over = sum(each.states.get(name, 0) for each in stages for name in ("done", "excluded"))
    jobs = sum(n for each in stages for name, n in each.states.items() if name != "absent")
    return {
        "totals": totals,
        "stages": stages,
        "states": [name for name in STATES if any(name in each.states for each in stages)],
        "over": over,
        "jobs": jobs,
        "left": time_left(head.state, stages),
    }


async def _counted(
    tx: AsyncConnection, session_id: UUID
) -> tuple[Sequence[SessionStage], SessionTotals]:
    return await session_stages(tx, session_id), await session_totals(tx, session_id)


async def _live(here: Board, asked: Mapping[str, str]) -> Mapping[str, Any]:
    head = await _head(here, asked["session_id"])
    return {"head": head, "standing": await standing(here, head)}


live_fragment(router, "/live/session/{session_id}", _live, "parts/session_standing.html")

STATES = (
    "waiting", "ready", "claimed", "queued", "running", "returned", "done", "excluded", "failed",
    "cancelled", "absent",
)  # fmt: skip
"""In the order of a job's life, as the matrix has its columns."""


async def _head(here: Board, given: str) -> SessionHead:
    try:
        found = await here.read(session_head, UUID(given))
    except ValueError:
        found = None
    if found is None:
        raise HTTPException(404, GONE)
    return found


async def _csv(here: Board, session_id: UUID) -> AsyncIterator[str]:
    """The lines, a page of assets at a time: a session may have more than fit into memory."""
    yield UTF8 + csv_lines([CSV_HEAD])
    after = ""
    while page := await here.read(session_tiles, session_id, after=after, most=CSV_PAGE):
        yield csv_lines(
            (
                each.guid, each.file_name, each.parent_guid, each.pipeline, each.subject,
                each.state, each.stage, each.reason,
                each.finalised_at and each.finalised_at.isoformat(),
            )
            for each in page
        )  # fmt: skip
        after = page[-1].guid


def _read_filter(
    asked: Mapping[str, str],
) -> tuple[SessionFilter, Place | None, dict[str, str]]:
    """What is asked for, and what of it cannot be understood: a sentence by field."""
    faults: dict[str, str] = {}
    days = {name: _day(name, asked[name], faults) for name in ("since", "until")}
    for name in ("workstation", "collection"):
        if why_not_storable(asked[name]):
            faults[name] = f"{name}: it has characters that no name has; write it again"
    if asked["state"] and asked["state"] not in list(SessionState):
        faults["state"] = f"state: choose one of {', '.join(SessionState)}"
    since, until = days["since"], days["until"]
    if since and until and since > until:
        faults["until"] = "until: it lies before the first day; exchange the two"
    before = _place(asked["before"], faults)
    return (
        SessionFilter(
            workstation=asked["workstation"] or None,
            collection=asked["collection"] or None,
            state=None if faults or not asked["state"] else SessionState(asked["state"]),
            since=None if since is None else _midnight(since),
            until=None if until is None else _midnight(until + timedelta(days=1)),
        ),
        before,
        faults,
    )


def _day(name: str, given: str, faults: dict[str, str]) -> date | None:
    if not given:
        return None
    try:
        found = date.fromisoformat(given)
        _midnight(found)
    except ValueError:
        faults[name] = f"{name}: {given[:40]!r} is no day; write it as 2026-11-30"
        return None
    return found


def _midnight(day: date) -> datetime:
    return with_zone(datetime.combine(day, time.min))


def _mark(place: Place) -> str:
    return f"{place.opened_at.isoformat()}_{place.id}"


def _place(given: str, faults: dict[str, str]) -> Place | None:
    at, _, session_id = given.rpartition("_")
    if not given:
        return None
    try:
        return Place(with_zone(datetime.fromisoformat(at)), UUID(session_id))
    except ValueError:
        faults["before"] = "before: it is no place in the list; begin at the first page"
        return None
