"""The board: pages for those who live with the road.

`create_app` opens nothing; its engine lives as long as the application does.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from board import errors
from board.context import Board, BoardConfig
from board.live import LiveParts
from board.login.admission import BoardLogin, admit
from board.login.config import LoginConfig
from board.pages import ROUTERS
from board.rendering import make_environment
from tasks.background import keep
from track.schema.database import give_signs_of_life, make_engine

STATIC = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing is loaded from elsewhere, and no script or style is written into a page."""


def create_app(config: BoardConfig) -> FastAPI:
    """The application as ASGI; its lifespan must be run."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = config.pool
        engine = make_engine(config.database_url, pool=pool, overflow=pool, service="board")
        app.state.board = Board(config, engine, make_environment())
        app.state.live = LiveParts()
        life = keep(partial(give_signs_of_life, engine), "the board's sign of life")
        try:
            yield
        finally:
            life.cancel()
            await asyncio.wait([life])
            await engine.dispose()

    app = FastAPI(
        title="Specimen Refinery: the board",
        lifespan=lifespan,
        openapi_url=None,
        dependencies=[Depends(admit)],
        redirect_slashes=False,
    )
    app.state.login = BoardLogin(config.login, config.host)
    errors.install(app)
    _keep_sessions(app, config.login)
    app.middleware("http")(_with_headers)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", _first_page, include_in_schema=False)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _keep_sessions(app: FastAPI, login: LoginConfig) -> None:
    """Sessions in a signed cookie, whose name tells boards of one host apart."""
    name = f"board-{hashlib.sha256(login.secret.encode()).hexdigest()[:8]}"
    app.add_middleware(
        SessionMiddleware,
        secret_key=login.secret,
        session_cookie=f"__Host-{name}" if login.encrypted else name,
        max_age=int(login.hours * 3600),
        https_only=login.encrypted,
    )


async def _first_page() -> Response:
    return RedirectResponse("/today")


async def _with_headers(
    request: Request, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await answer(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
