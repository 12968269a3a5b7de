"""The clusters' application: what jobs call back to, wherever they run.

`create_app` opens nothing; its engine, archive client and announcer live as long as
the application does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import agents, attempts, health, problems, waiting_work
from api.context import ClusterApi, Context
from api.free_space import FreeSpace
from api.legacy import routes
from api.limits import BodyLimit, RequestTimer
from api.metrics import Metrics
from api.queue_notices import listening
from track.commands.legacy import UnknownAsset
from track.schema.database import make_engine

__all__ = ["ClusterApi", "create_app"]

ABOUT = """
Jobs on clusters report here. Runners of the refinery use `/attempts/…` with the token of their
attempt; agents, which take the work of sites that nobody can reach, use `/sites/…` with their
own; scripts that are older use the paths they have always called. Every call is one
transaction; sent again it changes nothing; for an attempt that is over it is recorded only.
"""


def create_app(config: ClusterApi) -> FastAPI:
    """The application as ASGI; its lifespan must be run."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(config, metrics) as context:
            app.state.context = context
            yield

    app = FastAPI(
        title="Specimen Refinery: callbacks of clusters",
        description=ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,
        # Scripts call with `curl -d`, which names no JSON.
        strict_content_type=False,
    )
    problems.install(app)
    app.add_exception_handler(UnknownAsset, routes.unknown_asset)
    app.include_router(attempts.router)
    app.include_router(agents.router)
    app.include_router(routes.router, prefix=config.legacy_prefix)
    for prefix in {"", config.legacy_prefix}:
        app.include_router(waiting_work.router, prefix=prefix)
    app.include_router(health.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestTimer, metrics=metrics)
    return app


@asynccontextmanager
async def running(config: ClusterApi, metrics: Metrics) -> AsyncIterator[Context]:
    """What the application needs while it runs."""
    pool = config.pool
    engine = make_engine(config.database_url, pool=pool, overflow=pool, service="clusters")
    try:
        async with (
            config.ars_tokens() as ars_token,
            config.announcing(engine) as announcer,
            listening(engine.url) as queues,
        ):
            space = FreeSpace(config.places)
            yield Context(config, engine, metrics, announcer, ars_token, queues, space)
    finally:
        await engine.dispose()
