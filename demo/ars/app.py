"""The stand-in as one ASGI application.

Keycloak, the asset service and the file proxy are mounts, as they are behind the museum's
proxy; the ERDA job runs for as long as the application does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from demo.ars import (
    asset_routes,
    asset_state,
    erda,
    errors,
    file_routes,
    health,
    keycloak,
    seed,
    share_routes,
    specimens,
    workstations,
)
from demo.ars.config import StandInConfig
from demo.ars.control import control_app
from demo.ars.edge import EdgeLayer, SameWithSlash
from demo.ars.errors import Service
from demo.ars.world import World, make_world


def create_app(config: StandInConfig) -> ASGIApp:
    """An archive ready to be served; nothing is opened before its lifespan starts."""
    world = make_world(config)
    inside = Starlette(routes=mounts(world), lifespan=lambda _: _lifespan(world))
    # Outside everything, the framework's own layers included: it must hold the server's `send`.
    return SameWithSlash(EdgeLayer(inside, world))


@asynccontextmanager
async def _lifespan(world: World) -> AsyncIterator[None]:
    world.folders.prepare()
    await world.store.open()
    job: asyncio.Task[None] | None = None
    try:
        async with world.store.transaction() as db:
            await world.tokens.load(db)
            await seed.seed(db, world.config)
        if world.config.tick_seconds > 0:
            job = asyncio.create_task(erda.run_forever(world))
        yield
    finally:
        if job is not None:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job
        await world.store.close()


def mounts(world: World) -> list[BaseRoute]:
    by_name = specimens.by_barcode if world.profile.specimen_by_barcode else specimens.by_pid
    archive = [asset_routes.router, asset_state.router, by_name, workstations.router]
    proxy = [share_routes.router, file_routes.router, health.router]
    mounts: list[BaseRoute] = [
        Mount("/keycloak", _service(world, "assets", keycloak.router)),
        Mount("/ars/api", _service(world, "assets", *archive)),
        Mount("/ars", _service(world, "assets", health.router)),
        Mount("/file_proxy/api", _service(world, "files", *proxy)),
    ]
    if world.config.control:
        mounts.append(Mount("/__sim", control_app(world)))
    return mounts


def _service(world: World, service: Service, *routers: APIRouter) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.world = world
    errors.install(app, service)
    for router in routers:
        app.include_router(router)
    return app
