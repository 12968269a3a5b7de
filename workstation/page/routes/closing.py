"""Telling the program to end."""

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import Response

from workstation.page.context import Page

router = APIRouter()


@router.get("/quit")
def ask(page: Page) -> Response:
    """What ending means now."""
    return page.page("quit.html")


@router.post("/quit")
def end(page: Page) -> Response:
    """Stop what is being done, then end; what was begun can be gone on with."""
    page.state.work.stop()
    answer = page.page("ended.html")
    answer.background = BackgroundTask(page.close)
    return answer
