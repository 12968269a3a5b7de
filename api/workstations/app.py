"""The workstations' application: what digitisers' clients send their sessions to.

`create_app` opens nothing; its engine lives as long as the application does. It may run on another
host than the rest, where the database is reached and the N-Drive is mounted.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from api.limits import BodyLimit
from api.own_metrics import serve_own_metrics
from api.workstations import health, problems, refusals, sessions, tus, upload, verify
from api.workstations.context import UploadContext, WorkstationApi
from api.workstations.folders import Drive
from api.workstations.logins import LoginTokens
from api.workstations.refusals import UploadRefused
from api.workstations.upkeep import look_after
from blocks.access.passwords import Passwords
from blocks.access.signing_in import LocalLogin
from blocks.access.users import UsersFile
from schemas.uploads import RefusalCode
from track.schema.database import give_signs_of_life, make_engine

__all__ = ["WorkstationApi", "create_app"]

ABOUT = """
Workstations send the files of a session here, one by one and resumable (tus 1.0), and say when the
session is complete; only then does it become visible to the refinery. Every refusal is
`{"code": …, "error": …}`: a word for the program and a sentence for the person before it.
"""

BODY_LIMIT = 20_000_000
"""Bytes of a request that carries no file; the end of a session names all of its files."""

SIZED = re.compile(r"/files(/[^/]+)?|/upload")
"""Paths whose routes limit their bodies themselves."""

log = logging.getLogger(__name__)


def create_app(config: WorkstationApi) -> FastAPI:
    """The application as ASGI; its lifespan must be run."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(config) as context:
            app.state.context = context
            yield

    app = FastAPI(
        title="Specimen Refinery: uploads of workstations",
        description=ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    refusals.install(app)
    for part in (verify, tus, sessions, upload, problems, health):
        app.include_router(part.router)
    app.add_middleware(BodyLimit, limit=BODY_LIMIT, sized=SIZED, answer=_too_large)
    serve_own_metrics(app)
    return app


def _too_large(_: Scope, status: int, text: str) -> ASGIApp:
    return refusals.answer(UploadRefused(RefusalCode.TOO_LARGE, text, status=status))


@asynccontextmanager
async def running(config: WorkstationApi) -> AsyncIterator[UploadContext]:
    """What the application needs while it runs."""
    pool = config.pool
    engine = make_engine(config.database_url, pool=pool, overflow=pool, service="workstations")
    users = UsersFile(config.users_file)
    drive = Drive(config.n_drive, config.workstations)
    context = UploadContext(
        config,
        engine,
        drive,
        users,
        LocalLogin(users, Passwords()),
        LoginTokens(config.secret, config.login_hours, users),
    )
    background = [
        _begun("sign of life", give_signs_of_life(engine)),
        _begun("look after uploads", look_after(context)),
    ]
    try:
        yield context
    finally:
        for each in background:
            each.cancel()
        await asyncio.wait(background)
        drive.close()
        await engine.dispose()


def _begun(what: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Do it beside, and log what ends it before it is cancelled."""
    task = asyncio.create_task(work)

    def look(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.error("the %s ended", what, exc_info=error)

    task.add_done_callback(look)
    return task
