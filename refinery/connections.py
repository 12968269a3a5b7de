"""What the settings configure outside: database, N-Drive, archive, and the keys of tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from refinery import state
from refinery.addresses import Addresses
from refinery.settings import Settings

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncEngine

    from blocks.issue_tracker import IssueTracker

PREFECT_DEADLINE_S = 20.0
"""How long its server may take, which a burst of runs keeps busy for seconds."""


@asynccontextmanager
async def database(url: str, **options: Any) -> "AsyncIterator[AsyncEngine]":
    """An engine on a database for this block, with the options of `make_engine`."""
    from track.schema.database import make_engine

    engine = make_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


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


def issue_tracker(settings: Settings) -> "IssueTracker | None":
    """Where workstations' problems become issues; None: nowhere."""
    if not settings.issue_tracker_repository:
        return None
    from blocks.issue_tracker import IssueTracker

    return IssueTracker(
        api_url=settings.issue_tracker_api_url,
        repository=settings.issue_tracker_repository,
        token=settings.issue_tracker_token,
    )


def prefect(addresses: Addresses) -> "httpx.Client":
    """A client of Prefect's API, for what is asked there outside of Prefect's own."""
    import httpx

    return httpx.Client(
        base_url=addresses.prefect_api,
        headers=addresses.prefect_headers,
        timeout=PREFECT_DEADLINE_S,
        trust_env=False,
    )


def token_keys(settings: Settings) -> Any:
    """The keys that sign the clusters' tokens, drawn once per system."""
    from hpc.tokens import Keys

    return Keys.parse(f"k1:{state.secret(settings, 'token-key')}")
