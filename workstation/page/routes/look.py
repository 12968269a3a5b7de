"""What lies in the folder: small pictures, specimens, and everything that is wrong."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response

from workstation.files import size_and_time
from workstation.page.context import Page, see
from workstation.page.thumbnails import NoSmallPicture, small_picture
from workstation.page.troubles import trouble_of

router = APIRouter()

PICTURES_PER_PAGE = 60


@router.get("/look")
def look(page: Page, at: Annotated[int, Query(ge=0)] = 0) -> Response:
    """The specimens from number `at` on, and all problems; while it is looked, how far it is."""
    state = page.state
    folder, _ = state.needs_folder()
    last = state.work.last("look")
    if state.work.busy_with("look"):
        return page.page("busy.html", "look", folder=folder, view=state.work.view())
    if state.scan is None:
        trouble = trouble_of(last.error) if last is not None and last.error else None
        return page.page("not_looked.html", "look", folder=folder, trouble=trouble)
    scan = state.scan
    return page.page(
        "look.html",
        "look",
        scan=scan,
        number=state.looks,
        shown=list(enumerate(scan.specimens))[at : at + PICTURES_PER_PAGE],
        at=at,
        per_page=PICTURES_PER_PAGE,
        broken={each.file for each in scan.problems if each.stops},
        stopping=[each for each in scan.problems if each.stops],
        remarks=[each for each in scan.problems if not each.stops],
    )


@router.post("/look")
def look_again(page: Page) -> Response:
    """Look at every file anew, after something was put right."""
    page.state.look()
    return see("/look")


@router.get("/pictures/{number}/{index}")
def picture(page: Page, number: int, index: int) -> Response:
    """The small picture of a specimen of the look of that number, and of no other file."""
    scan = page.state.scan
    if scan is None or number != page.state.looks or not 0 <= index < len(scan.specimens):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    image = scan.specimens[index].image
    if image.parent != scan.folder or image.is_symlink():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    facts = size_and_time(image)
    try:
        made = small_picture(image, facts[1] if facts else 0)
    except NoSmallPicture as error:
        raise HTTPException(HTTPStatus.NOT_FOUND) from error
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(made, media_type="image/jpeg", headers=headers)
