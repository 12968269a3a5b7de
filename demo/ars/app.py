"""The stand-in as one ASGI application, and serving it.

Keycloak, the asset service and the file proxy are mounts, as they are behind the museum's
proxy; the ERDA job runs for as long as the application does.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
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
    keycloak,
    seed,
    share_routes,
    specimens,
)
from demo.ars.config import StandInConfig
from demo.ars.control import control_app
from demo.ars.edge import EdgeLayer
from demo.ars.errors import Service
from demo.ars.store import one
from demo.ars.world import InWorld, World
from refinery import connections, state
from refinery.addresses import LOOPBACK, of_running
from refinery.services import log_to_stderr
from refinery.settings import Settings
from tasks.background import keep

health = APIRouter()


def serve_here(settings: Settings) -> None:
    """Serve the running system's stand-in until interrupted. Raises state.NotRunning."""
    log_to_stderr(settings.log_format)
    addresses = of_running(settings)
    config = StandInConfig(
        database_url=addresses.ars_database,
        share_dir=settings.state / "ars",
        erda_dir=settings.state / "erda",
        base_url=addresses.ars,
        client_id=settings.ars_client_id,
        client_secret=connections.ars_secret(settings),
        control=settings.ars_control,
        profile=settings.ars_profile,
        client_roles=settings.ars_roles,
    )
    for folder in (config.share_dir, config.erda_dir):
        folder.mkdir(parents=True, exist_ok=True)
    serve(config, LOOPBACK, state.read(settings).ports["ars"])


def serve(config: StandInConfig, host: str, port: int) -> None:
    """Serve until interrupted. Logging stays as the calling program has set it up."""
    uvicorn.run(
        create_app(config), host=host, port=port, log_config=None, timeout_graceful_shutdown=5
    )


def create_app(config: StandInConfig) -> ASGIApp:
    """An archive ready to be served; nothing is opened before its lifespan starts."""
    world = World(config)
    inside = Starlette(routes=mounts(world), lifespan=lambda _: _lifespan(world))
    # Outside everything, the framework's own layers included: it must hold the server's `send`.
    return EdgeLayer(inside, world)


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
            job = keep(partial(erda.run_forever, world), "the ERDA job")
        yield
    finally:
        if job is not None:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job
        await world.store.close()


def mounts(world: World) -> list[BaseRoute]:
    """The services below their paths; the v2.6 contract finds specimens by pid."""
    by_name = specimens.by_barcode if world.config.is_current else specimens.by_pid
    archive = [asset_routes.router, asset_state.router, by_name]
    proxy = [share_routes.router, file_routes.router, health]
    mounts: list[BaseRoute] = [
        Mount("/keycloak", _service(world, "assets", keycloak.router)),
        Mount("/ars/api", _service(world, "assets", *archive)),
        Mount("/ars", _service(world, "assets", health)),
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


@health.get("/actuator/health")
async def read_health(world: InWorld) -> dict[str, Any]:
    """Database and disk of either service; `free` is bytes on the disk under the share mount."""
    disk = shutil.disk_usage(world.config.share_dir)
    async with world.store.transaction() as db:
        await one(db, "SELECT 1 AS alive")
    database = {"database": "PostgreSQL", "validationQuery": "isValid()"}
    space = {"total": disk.total, "free": disk.free, "threshold": 10_485_760, "exists": True}
    return {
        "status": "UP",
        "components": {
            "db": {"status": "UP", "details": database},
            "diskSpace": {"status": "UP", "details": space},
            "ping": {"status": "UP"},
        },
    }
