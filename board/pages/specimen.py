"""One specimen's life: its picture, what is known of it, its copies, and what became of it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from board.context import Here
from board.timeline import timeline_of
from board.visitors import Reader
from schemas.storable import why_not_storable
from track.reports.life import SpecimenLife, guids_like, life_of, plain_life
from track.reports.life_picture import KINDS, seen_on
from track.reports.printed import printed_of

router = APIRouter()

VERBS = {
    "failed": ("resubmit", "skip"),
    "cancelled": ("resubmit", "skip"),
    "done": ("resubmit",),
    "excluded": ("resubmit",),
    "queued": ("cancel", "lost"),
    "running": ("cancel", "lost"),
    "claimed": ("cancel",),
    "ready": ("cancel", "skip"),
    "waiting": ("cancel", "skip"),
}
"""What an operator may ask of a stage by its state."""

BODY_FIRST = (
    "barcode", "collection", "institution", "digitiser", "date_asset_taken", "workstation_name",
    "pipeline_name", "preparation_type", "asset_subject", "specimen_pid",
)  # fmt: skip
"""Fields that people look for first."""


@router.get("/specimens/{guid}")
async def specimen_page(guid: str, request: Request, here: Here, visitor: Reader) -> Response:
    """The page of an asset, of a specimen or of a derivative of one."""
    life = None if why_not_storable(guid) else await here.read(life_of, guid)
    if life is None:
        near = [] if why_not_storable(guid) else await here.read(guids_like, guid)
        return here.page(
            request,
            "no_specimen.html",
            visitor,
            404,
            title="No such specimen",
            guid=guid,
            near=near,
        )
    return here.page(
        request,
        "specimen.html",
        visitor,
        title=guid,
        life=life,
        a=life.asset,
        seen=seen_on(life),
        kinds=KINDS,
        time=timeline_of(life),
        fields=_fields(life),
        verbs=VERBS,
        printed=printed_of,
        shown=_words,
    )


def _fields(life: SpecimenLife) -> list[tuple[str, str]]:
    """What its document says, field by field, without what is empty, and tags one by one."""
    body = {name: value for name, value in life.body.items() if value not in (None, "", [], {})}
    tags = body.pop("tags", {})
    body.pop("asset_guid", None)
    names = [name for name in BODY_FIRST if name in body]
    names += [name for name in body if name not in names and body[name] is not False]
    shown = [(name, _words(body[name])) for name in names]
    shown = [(name, text) for name, text in shown if text]
    return shown + [(f"tags.{name}", _words(tags[name])) for name in tags if name != "ocr"]


def _words(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(each)}" for name, each in value.items() if each)
    return str(value)


@router.get("/specimens/{guid}/life.json")
async def specimen_json(guid: str, here: Here, visitor: Reader) -> Response:
    """The same for programs."""
    life = None if why_not_storable(guid) else await here.read(life_of, guid)
    if life is None:
        return JSONResponse({"error": f"there is no specimen {guid!r}"}, 404)
    return JSONResponse(plain_life(life))
