"""The last look before anything is changed: what will be sent, and what will be deleted."""

from typing import cast, get_args

from fastapi import APIRouter
from starlette.responses import Response

from workstation.page.context import Fields, Page, see, text_of
from workstation.page.deleting import DeletionChoice
from workstation.page.effects import total_bytes
from workstation.page.troubles import trouble_of

router = APIRouter()


@router.get("/check")
def check(page: Page) -> Response:
    """What will happen; while the files are read for it, how far that is."""
    state = page.state
    folder, _ = state.needs_folder()
    if state.work.busy_with("ingest"):
        return see("/progress")
    if state.work.busy_with("plan"):
        return page.page("busy.html", "check", folder=folder, view=state.work.view())
    last = state.work.last("plan")
    if state.unfinished() is None and state.plan is None and last is not None and last.error:
        trouble = trouble_of(last.error)
        return page.page("not_planned.html", "check", folder=folder, trouble=trouble)
    effects = state.effects()
    problems = () if effects.begun or state.plan is None else state.plan.problems
    return page.page(
        "check.html",
        "check",
        effects=effects,
        stopping=[each for each in problems if each.stops],
        remarks=[each for each in problems if not each.stops],
        bytes_of=total_bytes,
    )


@router.post("/check")
def start(page: Page, fields: Fields) -> Response:
    """Begin."""
    choice = text_of(fields, "deletion")
    if choice not in get_args(DeletionChoice):
        return see("/check")
    if not page.state.effects().begun and page.state.plan is not None and page.state.plan.stops:
        return see("/check")
    page.state.start_run(cast(DeletionChoice, choice))
    return see("/progress")
