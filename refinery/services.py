"""The services that `refinery up` starts, each the body of a command of the same name.

Each one reads the running system's addresses, works until a signal ends it, and leaves
the database as it was.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from refinery import connections, state
from refinery.addresses import Addresses, of_running
from refinery.settings import Settings, SettingsError
from schemas.log_lines import LogFormat, write_lines

log = logging.getLogger(__name__)


def log_to_stderr(form: LogFormat = "text") -> None:
    """One line per event, with its time; request lines of the HTTP client are left out."""
    write_lines(form)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def until_stopped(work: Coroutine[Any, Any, None], form: LogFormat = "text") -> None:
    """Run until the work is done or SIGTERM or Ctrl-C cancels it."""
    log_to_stderr(form)

    async def cancellable() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            log.info("stopped by a signal")

    asyncio.run(cancellable())


async def watch(settings: Settings) -> None:
    """Watch the N-Drive until cancelled."""
    from tasks.background import keep
    from tasks.intake.watch import watch as watch_drive
    from track.schema.database import give_signs_of_life

    async with connections.database(of_running(settings).database, service="watch") as engine:
        # An empty drive asks the database nothing.
        life = keep(partial(give_signs_of_life, engine), "the watch's sign of life")
        try:
            await watch_drive(connections.n_drive(settings), engine)
        finally:
            life.cancel()
            await asyncio.wait([life])


async def register(settings: Settings, folder: Any, actor: str) -> str:
    """Register a folder on the N-Drive as a session now; the answer for a person."""
    from tasks.intake.opening import register_folder

    async with connections.database(of_running(settings).database) as engine:
        drive = connections.n_drive(settings)
        opened = await register_folder(engine, drive, folder, actor=actor)
    return f"session {opened} opened" if opened else "known already, exactly as it lies there"


async def sites(settings: Settings) -> None:
    """Drive every site we have a way to, until cancelled."""
    from refinery.drivers import SiteDrivers

    addresses = of_running(settings)
    async with connections.database(addresses.database, service="sites") as engine:
        await SiteDrivers(settings, addresses, engine).run()


def api(settings: Settings, which: str) -> None:
    """Serve one of the APIs until stopped. Raises SettingsError for an unknown name."""
    import uvicorn

    if which not in APPS:
        raise SettingsError(f"no API is called '{which}': there are {', '.join(APPS)}.")
    log_to_stderr(settings.log_format)
    app = APPS[which](settings, of_running(settings))
    # The application checks its callers' addresses itself, so uvicorn must not rewrite them.
    uvicorn.run(
        app,
        host=settings.host_of(which),
        port=state.read(settings).ports[which],
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S[which],
    )


GRACE_S = {"clusters": 10, "workstations": 5, "board": 2}
"""How long requests may go on after the signal that ends a service; a page that many keep open
would never end, and what it sends is read-only or may be sent again."""


def clusters_app(settings: Settings, addresses: Addresses) -> Any:
    """The application that jobs call back to."""
    from api.archive import archive_tokens
    from api.clusters import ClusterApi, create_app
    from hpc.archives import build_runner
    from refinery.announcer import announcing

    address = connections.archive(settings, addresses).address()
    outputs = settings.state / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    if settings.records.is_relative_to(settings.state):  # elsewhere it may be a mount that is away
        settings.records.mkdir(parents=True, exist_ok=True)
    return create_app(
        ClusterApi(
            database_url=addresses.database,
            keys=connections.token_keys(settings),
            announcing=partial(
                announcing,
                events_url=addresses.prefect_api,
                headers=addresses.prefect_headers,
                together_s=settings.alarms_together_s,
            ),
            ars_tokens=partial(archive_tokens, address),
            file_proxy=address.file_proxy(),
            outputs=outputs,
            runner=build_runner(settings.state / "run"),
            legacy_callbacks=settings.legacy_callbacks,
            trusted_proxies=settings.trusted_proxies,
            places={
                "store": settings.store,
                "n-drive": settings.n_drive,
                "records": settings.records,
                "outputs": outputs,
            },
        )
    )


def board_app(settings: Settings, addresses: Addresses) -> Any:
    """The pages for those who live with the road."""
    from api.own_metrics import serve_own_metrics
    from board.app import create_app
    from board.context import BoardConfig

    app = create_app(
        BoardConfig(
            database_url=addresses.database,
            prefect=addresses.prefect,
            prefect_api=addresses.prefect_api,
            login=board_login(settings),
            host=settings.board_host,
            previews=settings.previews,
            places={
                "store": settings.store,
                "n-drive": settings.n_drive,
                "records": settings.records,
            },
        )
    )
    serve_own_metrics(app)
    return app


def board_login(settings: Settings) -> Any:
    """How people log in to the board."""
    from board.login.config import LoginConfig, OidcConfig

    oidc = OidcConfig(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        role_claim=settings.oidc_role_claim,
        operators=settings.oidc_operators,
        readers=settings.oidc_readers,
    )
    return LoginConfig(
        users_file=settings.users_file,
        secret=state.secret(settings, "board-key"),
        hours=settings.login_hours,
        address=settings.board_url,
        trusted_proxies=settings.trusted_proxies,
        oidc=oidc if settings.oidc_issuer else None,
    )


def workstations_app(settings: Settings, addresses: Addresses) -> Any:
    """The application that workstations send their sessions to."""
    from api.workstations.app import WorkstationApi, create_app
    from refinery.offered import OfferedValues

    return create_app(
        WorkstationApi(
            database_url=addresses.database,
            n_drive=connections.n_drive(settings).root,
            workstations=settings.workstations,
            offered=OfferedValues(settings.workstations_file),
            users_file=settings.users_file,
            secret=state.secret(settings, "workstations-key"),
            login_hours=settings.login_hours,
            bearer=bearer_tokens(settings),
            report=problem_report(settings),
            trusted_proxies=settings.trusted_proxies,
        )
    )


def bearer_tokens(settings: Settings) -> Any:
    """What checks the tokens of the login provider; None without one."""
    import httpx

    from blocks.access.bearer import TIMEOUT_S, BearerTokens

    if not settings.oidc_issuer:
        return None
    return BearerTokens(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience or settings.oidc_client_id,
        workstation_claim=settings.oidc_workstation_claim,
        client=partial(httpx.AsyncClient, timeout=TIMEOUT_S),
    )


def problem_report(settings: Settings) -> Any:
    """What has workstations' problems become issues; None without a tracker."""
    if (tracker := connections.issue_tracker(settings)) is None:
        return None
    from blocks.issue_tracking import report_problem

    return partial(report_problem, tracker)


APPS: dict[str, Callable[[Settings, Addresses], Any]] = {
    "clusters": clusters_app,
    "workstations": workstations_app,
    "board": board_app,
}
"""The applications by the name of their port; `refinery up` starts each."""


def migrate(settings: Settings) -> list[str]:
    """Bring our tables, pipelines and sites up to date; the names of changed pipelines."""
    from refinery.definitions import load
    from track.schema.database import transact
    from track.schema.migrations import upgrade
    from track.schema.views import name_file_proxy

    addresses = of_running(settings)
    upgrade(addresses.database)
    links = connections.archive(settings, addresses).address().file_proxy()

    async def definitions() -> list[str]:
        async with connections.database(addresses.database) as engine:
            await transact(engine, name_file_proxy, links)
            return await load(settings, engine)

    return asyncio.run(definitions())
