"""A run under way: how far it is, stopping it, its question before it deletes, its report."""

from fastapi import APIRouter
from starlette.responses import Response

from workstation.page.context import Fields, Page, see, text_of
from workstation.page.troubles import trouble_of

router = APIRouter()


@router.get("/progress")
def progress(page: Page) -> Response:
    """How far the run is; once it is over, its report."""
    state = page.state
    if not state.work.busy_with("ingest"):
        return see("/")
    question = state.question if state.question is not None and state.question.is_open else None
    return page.page(
        "progress.html",
        "progress",
        view=page.state.work.view(),
        question=question,
        stopping=state.work.current is not None and state.work.current.is_stopping,
    )


@router.get("/progress/part")
def part(page: Page) -> Response:
    """The bars alone, of whatever is being done; the page's script puts them in place."""
    state = page.state
    asks = state.question is not None and state.question.is_open
    found = "over" if not state.work.is_busy else "asks" if asks else "goes on"
    answer = page.page("parts/bars.html", view=page.state.work.view())
    answer.headers["Page-State"] = found
    return answer


@router.post("/stop")
def stop(page: Page) -> Response:
    """Let what is being done come to rest."""
    page.state.work.stop()
    return see("/")


@router.post("/answer")
def answer(page: Page, fields: Fields) -> Response:
    """Say whether the files may be deleted."""
    if page.state.question is not None and text_of(fields, "delete") in ("yes", "no"):
        page.state.question.answer(agreed=text_of(fields, "delete") == "yes")
    return see("/progress")


@router.get("/report")
def report(page: Page) -> Response:
    """What the run did, or why it ended."""
    state = page.state
    work = state.work.last("ingest")
    if work is None or not work.is_over:
        return see("/")
    return page.page(
        "report.html",
        "report",
        report=state.report,
        trouble=trouble_of(work.error) if work.error is not None else None,
        stopped=work.is_stopping,
        unfinished=state.unfinished(),
        notes=work.progress.view().notes,
    )


@router.post("/again")
def again(page: Page) -> Response:
    """Begin another session."""
    if not page.state.work.is_busy:
        page.state.begin_anew()
    return see("/")
