"""The services that `refinery up` starts, each the body of a command of the same name.

Each one reads the running system's addresses, works until it is told to end, and leaves
the database as it was.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from refinery import state
from refinery.addresses import Addresses, of_running
from refinery.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def log_to_stderr() -> None:
    """One line per event, with its time; request lines of the HTTP client are left out."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work is done or SIGTERM or Ctrl-C cancels it."""
    log_to_stderr()

    async def cancellable() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for word in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(word, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            log.info("told to end")

    asyncio.run(cancellable())


async def watch(settings: Settings) -> None:
    """Watch the N-Drive until cancelled."""
    from refinery.prefect_events import PrefectEvents
    from refinery.watch import watch as watch_drive
    from track.database import make_engine

    addresses = of_running(settings)
    engine = make_engine(addresses.database, service="watch")
    try:
        async with PrefectEvents(addresses.prefect_api) as emit:
            await watch_drive(n_drive(settings), engine, emit)
    finally:
        await engine.dispose()


async def ingest(settings: Settings, folder: Any, actor: str) -> str:
    """Register a folder on the N-Drive as a session now; what a person is told about it."""
    from refinery.opening import register_folder
    from refinery.prefect_events import PrefectEvents
    from track.database import make_engine

    addresses = of_running(settings)
    engine = make_engine(addresses.database)
    try:
        async with PrefectEvents(addresses.prefect_api) as emit:
            drive = n_drive(settings)
            opened = await register_folder(engine, drive, folder, emit, actor=actor)
    finally:
        await engine.dispose()
    return f"session {opened} opened" if opened else "known already, exactly as it lies there"


async def sites(settings: Settings) -> None:
    """Drive every site we have a way to, until cancelled."""
    from refinery.sites import SiteDrivers
    from track.database import make_engine

    addresses = of_running(settings)
    engine = make_engine(addresses.database, service="sites")
    try:
        await SiteDrivers(settings, addresses, engine).run()
    finally:
        await engine.dispose()


def api(settings: Settings, which: str) -> None:
    """Serve one of the APIs until told to end. Raises SettingsError for a name we do not know."""
    import uvicorn

    if which not in APPS:
        raise SettingsError(f"no API is called '{which}': there are {', '.join(APPS)}.")
    log_to_stderr()
    app = APPS[which](settings, of_running(settings))
    # The application judges its callers' addresses itself, so uvicorn takes no proxy's word.
    uvicorn.run(
        app,
        host=settings.api_host,
        port=state.read(settings).ports[which],
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def clusters_app(settings: Settings, addresses: Addresses) -> Any:
    """The application that jobs call back to."""
    from api.archive import archive_tokens
    from api.clusters import ClusterApi, create_app

    address = archive(settings, addresses).address()
    outputs = settings.state / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    return create_app(
        ClusterApi(
            database_url=addresses.database,
            keys=token_keys(settings),
            events_url=addresses.prefect_api,
            ars_tokens=archive_tokens(address),
            file_proxy=address.file_proxy(),
            outputs=outputs,
            legacy_callbacks=settings.legacy_callbacks,
            trusted_proxies=settings.trusted_proxies,
        )
    )


APPS: dict[str, Callable[[Settings, Addresses], Any]] = {"clusters": clusters_app}
"""The APIs by the name of their port; `refinery up` starts each."""


def ars(settings: Settings) -> None:
    """Serve the archive's stand-in until told to end."""
    from demo.ars.config import StandInConfig
    from demo.ars.server import serve

    log_to_stderr()
    addresses = of_running(settings)
    config = StandInConfig(
        database_url=addresses.ars_database,
        share_dir=settings.state / "ars",
        erda_dir=settings.state / "erda",
        base_url=addresses.ars,
        client_id=settings.ars_client_id,
        client_secret=ars_secret(settings),
        control=settings.ars_control,
        profile=settings.ars_profile,
        client_roles=settings.ars_roles,
    )
    for folder in (config.share_dir, config.erda_dir):
        folder.mkdir(parents=True, exist_ok=True)
    serve(config, "127.0.0.1", state.read(settings).ports["ars"])


def migrate(settings: Settings) -> list[str]:
    """Bring our tables, pipelines and sites up to date; the names of changed pipelines."""
    from refinery.definitions import load
    from track.database import make_engine, transact
    from track.migrations import upgrade
    from track.views import name_file_proxy

    addresses = of_running(settings)
    upgrade(addresses.database)
    links = archive(settings, addresses).address().file_proxy()

    async def definitions() -> list[str]:
        engine = make_engine(addresses.database)
        try:
            await transact(engine, lambda tx: name_file_proxy(tx, links))
            return await load(settings, engine)
        finally:
            await engine.dispose()

    return asyncio.run(definitions())


def n_drive(settings: Settings) -> Any:
    """The N-Drive as set; one in our own state folder is made, workstations' folders and all."""
    from blocks.ndrive import NDrive

    if settings.n_drive.is_relative_to(settings.state):
        for name in settings.workstations:
            (settings.n_drive / name).mkdir(parents=True, exist_ok=True)
    return NDrive(
        root=settings.n_drive,
        workstations=list(settings.workstations),
        settle_seconds=settings.settle_seconds,
        poll_seconds=min(5.0, settings.settle_seconds / 2),
    )


def archive(settings: Settings, addresses: Addresses) -> Any:
    """ARS as set, or its stand-in."""
    from blocks.ars import ArsArchive

    return ArsArchive(
        base_url=addresses.ars,
        token_url=settings.ars_token_url,
        client_id=settings.ars_client_id,
        client_secret=ars_secret(settings),
    )


def ars_secret(settings: Settings) -> str:
    """Our secret at ARS; the stand-in's is drawn when none is set."""
    given = settings.ars_client_secret.get_secret_value()
    return given if given or not settings.stand_in_ars else state.secret(settings, "ars-secret")


def token_keys(settings: Settings) -> Any:
    """The keys that sign the clusters' tokens, drawn once per system."""
    from hpc.tokens import Keys

    return Keys.parse(f"k1:{state.secret(settings, 'token-key')}")
