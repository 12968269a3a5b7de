"""Choosing the workstation and the folder of a finished session."""

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from schemas.digitisation import ANY_WORKSTATION
from workstation.page.context import Fields, Page, PageContext, see, text_of
from workstation.page.folder_list import (
    ListedFolder,
    offered_places,
    place_of,
    sub_folders,
    typed_folder,
)
from workstation.page.troubles import Trouble, trouble_of
from workstation.problems import WorkstationError
from workstation.server.errors import LoginNeeded, ServerProblem

router = APIRouter()


@router.get("/folder")
def form(page: Page, at: str = "", workstation: str = "") -> Response:
    """The form; `at`: the folder whose sub-folders are listed."""
    page.state.needs_server()
    return _form(page, at, workstation=workstation)


@router.post("/folder")
def choose(page: Page, fields: Fields) -> Response:
    """Take a folder, and look at it, or go on with the session that was begun of it."""
    state = page.state
    state.needs_server()
    state.work.check_idle()
    workstation, typed = text_of(fields, "workstation"), text_of(fields, "folder")
    try:
        folder = typed_folder(typed)
        state.choose(workstation, folder, raw_required="raw_required" in fields)
    except LoginNeeded:
        raise
    except (WorkstationError, ServerProblem) as error:
        given = {"workstation": workstation, "typed": typed}
        return _form(page, text_of(fields, "at"), trouble=trouble_of(error), **given)
    if state.unfinished() is not None:
        return see("/check")
    state.look()
    return see("/look")


def _form(
    page: PageContext,
    at: str,
    *,
    workstation: str = "",
    typed: str | None = None,
    trouble: Trouble | None = None,
) -> Response:
    state = page.state
    sessions = page.state.journal.sessions()
    places = offered_places(session.folder for session in sessions)
    listed: list[ListedFolder] = []
    place = None
    if at and trouble is None:
        try:
            listed = sub_folders(Path(at), places)
            place = place_of(Path(at), places)
        except WorkstationError as error:
            trouble = trouble_of(error)
    offered = state.login.workstations if state.login else ()
    used = [session.workstation for session in sessions]
    chosen = workstation or state.workstation or (used[0] if used else "")
    return page.page(
        "folder.html",
        "folder",
        HTTPStatus.UNPROCESSABLE_ENTITY if trouble else HTTPStatus.OK,
        trouble=trouble,
        offered=[name for name in offered if name != ANY_WORKSTATION],
        any_workstation=ANY_WORKSTATION in offered,
        used=list(dict.fromkeys(used)),
        chosen=chosen,
        typed=typed if typed is not None else (at or str(state.folder or "")),
        places=places,
        at=Path(at) if at else None,
        above=Path(at).parent if place is not None and Path(at) != place else None,
        listed=listed,
        begun=[session for session in sessions if session.ended_at is None],
    )
