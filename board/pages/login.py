"""The page to log in at, the way to a provider and back, and logging out."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from blocks.access.claims import ProviderAway
from blocks.access.signing_in import TooManyLogins, WrongLogin
from blocks.access.users import BrokenUsersFile
from board.context import Board, Here
from board.login import sessions
from board.login.admission import BoardLogin, login_of
from board.login.oidc import LoginNotProven, NoRoleHere, Provider
from board.login.own_paths import own_path
from board.visitors import Reader, Visitor

log = logging.getLogger(__name__)

router = APIRouter()

WAY_IN = "way_in"
"""Where the browser goes after its way over the provider, in its session."""

At = Annotated[BoardLogin, Depends(login_of)]

AWAY = "The provider cannot be reached just now. Log in with name and password, or try again soon."
NOT_PROVEN = "The login there was not finished, or began too long ago: try again."
NO_ROLE = (
    "The provider knows you as {}, but not as anybody here: ask who keeps the board for a role."
)


@router.get("/login")
async def login_page(
    request: Request, here: Here, login: At, visitor: Reader, next: str = ""
) -> Response:
    """The form, and the link to the provider."""
    if visitor.role is not None:
        return RedirectResponse(own_path(next), 303)
    return _page(request, here, login, next)


@router.post("/login")
async def log_in(
    request: Request,
    here: Here,
    login: At,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """Log in with name and password."""
    if login.local is None:
        raise HTTPException(404)
    try:
        user = await login.local.check(name, password, login.address_of(request))
    except WrongLogin:
        fault = "The name or the password is wrong."
        return _page(request, here, login, next, fault, 403, name=name)
    except TooManyLogins as error:
        fault = f"Too many wrong logins. Wait {error.wait_s} seconds, then try again."
        answer = _page(request, here, login, next, fault, 429, name=name)
        answer.headers["Retry-After"] = str(error.wait_s)
        return answer
    except BrokenUsersFile as error:
        raise login.refusing(error) from error
    sessions.begin_local(request, user)
    return RedirectResponse(own_path(next), 303)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Forget the login."""
    if name := sessions.end(request):
        log.info("logout: %r", name)
    return RedirectResponse("/login", 303)


@router.get("/login/oidc")
async def to_provider(request: Request, here: Here, login: At, next: str = "") -> Response:
    """Send the browser to the provider."""
    try:
        answer = await _provider(login).send_there(request, _callback(login))
    except ProviderAway as error:
        log.warning("the provider of logins is away: %s", error)
        return _page(request, here, login, next, AWAY, 503)
    request.session[WAY_IN] = own_path(next)
    return answer


@router.get("/login/oidc/callback")
async def from_provider(request: Request, here: Here, login: At) -> Response:
    """Take in who comes back from the provider."""
    way_in = own_path(str(request.session.get(WAY_IN, "")))
    try:
        name, role = await _provider(login).who_comes_back(request)
    except ProviderAway as error:
        log.warning("the provider of logins is away: %s", error)
        return _page(request, here, login, way_in, AWAY, 503)
    except LoginNotProven as error:
        log.warning("login refused: from %s: %s", login.address_of(request), error)
        return _page(request, here, login, way_in, NOT_PROVEN, 403)
    except NoRoleHere as error:
        log.warning("login refused: %r from %s: no role", str(error), login.address_of(request))
        return _page(request, here, login, way_in, NO_ROLE.format(error), 403)
    sessions.begin_oidc(request, name, role)
    log.info("login: %r as %s from %s by the provider", name, role, login.address_of(request))
    return RedirectResponse(way_in, 303)


def _provider(login: BoardLogin) -> Provider:
    if login.provider is None:
        raise HTTPException(404)
    return login.provider


def _callback(login: BoardLogin) -> str:
    return f"{login.config.address}/login/oidc/callback"


def _page(
    request: Request,
    here: Board,
    login: BoardLogin,
    next: str,
    fault: str = "",
    status: int = 200,
    name: str = "",
) -> Response:
    return here.page(
        request,
        "login.html",
        Visitor(role=None),
        status,
        next=own_path(next),
        fault=fault,
        name=name,
        local=bool(login.users and login.users.read()),
        oidc=login.provider is not None,
    )
