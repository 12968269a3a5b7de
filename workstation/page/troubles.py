"""How the page says what went wrong, whoever noticed it."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from workstation.page.context import PageContext, see
from workstation.page.state import StepMissing
from workstation.page.work import WorkUnderWay
from workstation.problems import WorkstationError
from workstation.server.errors import LoginNeeded, ServerProblem
from workstation.watching import IngestStopped


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, where if it is known, and what to do."""

    what: str
    remedy: str = ""
    where: str = ""


def trouble_of(error: BaseException) -> Trouble:
    """An error in words that a digitiser can act on."""
    if isinstance(error, WorkstationError):
        return Trouble(error.what, error.remedy, str(error.file))
    if isinstance(error, ServerProblem):
        return Trouble(error.text)
    if isinstance(error, IngestStopped):
        return Trouble("it was stopped", "begin again whenever you like: nothing was changed")
    said = str(error) or type(error).__name__
    return Trouble(said, "try again; if it stays so, show this to whoever looks after the program")


def install(app: FastAPI) -> None:
    """Let the application answer errors by pages."""
    app.add_exception_handler(StepMissing, _step_missing)
    app.add_exception_handler(WorkUnderWay, _under_way)
    app.add_exception_handler(LoginNeeded, _login_needed)
    app.add_exception_handler(ServerProblem, _trouble)
    app.add_exception_handler(WorkstationError, _trouble)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _trouble)


async def _step_missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, StepMissing)
    return see(error.path)


async def _under_way(request: Request, error: Exception) -> Response:
    return see("/")


async def _login_needed(request: Request, error: Exception) -> Response:
    return see("/login?again=true")


async def _trouble(request: Request, error: Exception) -> Response:
    return _shown(request, trouble_of(error), HTTPStatus.CONFLICT)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    missing = error.status_code == HTTPStatus.NOT_FOUND
    what = "There is no such page." if missing else str(error.detail)
    return _shown(request, Trouble(what, "Go back to the step you were at."), error.status_code)


def _shown(request: Request, trouble: Trouble, status: int) -> Response:
    page: PageContext = request.app.state.page
    return page.page("trouble.html", status=status, trouble=trouble)
