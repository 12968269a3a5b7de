"""The first page: it leads to the step that the session is at."""

from fastapi import APIRouter
from starlette.responses import Response

from workstation.page.context import Page, see
from workstation.page.state import PageState

router = APIRouter()


@router.get("/")
def first(page: Page) -> Response:
    """Go to the present step, whatever window it was left in."""
    return see(present_step(page.state))


def present_step(state: PageState) -> str:
    """The path of the step that the session is at."""
    last = state.work.current
    if last is not None and last.kind == "ingest" and (state.question or state.report):
        return "/report" if last.is_over else "/progress"
    if state.server is None:
        return "/login"
    if state.folder is None:
        return "/folder"
    if state.plan is not None or state.work.busy_with("plan") or state.unfinished() is not None:
        return "/check"
    return "/look"
