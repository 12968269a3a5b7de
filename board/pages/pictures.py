"""Pictures of specimens: small ones, made once and kept."""

import html
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, Response

from board.context import Here
from board.visitors import Reader
from tasks.files.previews import NoPicture, PictureSize, Previews
from track.reports.picture import picture_source

router = APIRouter()

NOWHERE = Path("/nonexistent")
KEPT = "private, max-age=86400"
"""Who may keep a picture, and how long before it is asked for again by its tag."""

PLACEHOLDER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" role="img">
<title>{why}</title><rect width="320" height="240" fill="#8a938d" fill-opacity=".18"/>
<g fill="none" stroke="#7b857f" stroke-width="3"><path d="M160 150V82"/>
<path d="M160 118c-26 0-40-14-42-38 26 0 40 12 42 38zM160 100c2-22 14-34 36-36 0 24-12 36-36 36z"/>
</g><g fill="#6d7771" font-family="sans-serif" font-size="13" text-anchor="middle">{lines}</g>
</svg>"""
LINE = 40
"""Letters of a line in the drawing that stands for a picture."""


async def _previews(request: Request, here: Here) -> Previews | None:
    """Where pictures are kept; one for the application, so that none is made twice at once."""
    config, state = here.config, request.app.state
    if config.previews is not None and getattr(state, "previews", None) is None:
        places = config.places
        state.previews = Previews(
            config.previews, places.get("store", NOWHERE), places.get("n-drive", NOWHERE)
        )
    return getattr(state, "previews", None)


Pictures = Annotated[Previews | None, Depends(_previews)]


@router.get("/specimens/{guid}/preview.jpg")
async def preview(
    guid: str, request: Request, here: Here, visitor: Reader, pictures: Pictures
) -> Response:
    """The picture as a page shows it."""
    return await _picture(guid, PictureSize.PREVIEW, request, here, pictures)


@router.get("/specimens/{guid}/thumbnail.jpg")
async def thumbnail(
    guid: str, request: Request, here: Here, visitor: Reader, pictures: Pictures
) -> Response:
    """The picture as a list shows it."""
    return await _picture(guid, PictureSize.THUMBNAIL, request, here, pictures)


async def _picture(
    guid: str, size: PictureSize, request: Request, here: Here, pictures: Previews | None
) -> Response:
    if "\0" in guid or (source := await here.read(picture_source, guid)) is None:
        return placeholder("there is no such specimen", 404)
    if pictures is None:
        return placeholder("this board has no folder for pictures (setting: previews)")
    try:
        path = await pictures.picture(source, size)
    except NoPicture as error:
        return placeholder(str(error))
    found = path.stat()
    tag = f'"{source.version or "new"}-{found.st_mtime_ns:x}-{found.st_size:x}"'
    headers = {"ETag": tag, "Cache-Control": KEPT}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type="image/jpeg", headers=headers)


def placeholder(why: str, status: int = 200) -> Response:
    """A drawing in place of a picture, which says why there is none."""
    rows: list[str] = [""]
    for word in why.split():
        if rows[-1] and len(rows[-1]) + len(word) > LINE:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()[:LINE]
    lines = "".join(
        f'<text x="160" y="{182 + 18 * number}">{html.escape(row)}</text>'
        for number, row in enumerate(rows[:3])
    )
    drawn = PLACEHOLDER.format(why=html.escape(why), lines=lines)
    headers = {"Cache-Control": "no-store"}
    return Response(drawn, status, headers, media_type="image/svg+xml")
