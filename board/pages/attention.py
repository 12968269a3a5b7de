"""Needs a person: what stands still until somebody decides, by cause."""

from collections import Counter

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from board.advice import advice_for, offers_for, offers_of
from board.context import Board, Here
from board.reads_kept import ReadsKept
from board.visitors import Reader
from track.reports.attention import MOST, WARNED_DAYS, NeedKind, NeedsPerson, needs_person

router = APIRouter()

SHOWN = 100
"""Causes of one page."""
LISTED = 200
"""Specimens of one page of a cause."""

GONE = (
    "There is no such cause any more: it was mended, or everybody of it moved on. The page "
    "Needs a person shows what stands now."
)


@router.get("/attention")
async def attention(here: Here, request: Request, visitor: Reader) -> Response:
    """All causes, or those of one kind."""
    kind = request.query_params.get("kind", "")
    found = await _read(here)
    causes = [each for each in found.causes if kind not in list(NeedKind) or each.need == kind]
    page = _whole(request.query_params.get("from", ""))
    return here.page(
        request,
        "attention.html",
        visitor,
        title="Needs a person",
        kind=kind if kind in list(NeedKind) else "",
        kinds=_by_kind(found),
        causes=causes[page : page + SHOWN],
        start=page,
        more=page + SHOWN if len(causes) > page + SHOWN else 0,
        is_cut=found.is_cut,
        most=MOST,
        days=WARNED_DAYS,
        advice=advice_for,
        offers=lambda cause: offers_for(cause, found.others(cause)),
    )


@router.get("/attention/{key}")
async def cause(here: Here, request: Request, key: str, visitor: Reader) -> Response:
    """One cause, with every specimen of it."""
    found = await _read(here)
    one = found.named(key)
    if one is None:
        raise HTTPException(404, GONE)
    page = _whole(request.query_params.get("from", ""))
    members = one.members[::-1]
    return here.page(
        request,
        "cause.html",
        visitor,
        title=one.title,
        cause=one,
        members=members[page : page + LISTED],
        start=page,
        more=page + LISTED if len(members) > page + LISTED else 0,
        advice=advice_for(one),
        offers=offers_for(one, found.others(one)),
        offers_of=offers_of,
    )


async def _read(here: Board) -> NeedsPerson:
    return await here.keep(ReadsKept).of("needs a person", lambda: here.read(needs_person))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _by_kind(found: NeedsPerson) -> dict[str, int]:
    """How many specimens, or stages of them, there are of each kind."""
    counts = Counter({each: 0 for each in NeedKind})
    for each in found.causes:
        counts[each.need] += len(each.members)
    return {str(kind): counts[kind] for kind in NeedKind if counts[kind]}
