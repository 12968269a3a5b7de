"""What the routes of one application share: its settings, its engine, its counters.

It is made when the application starts, and kept in its state; nothing is global.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.free_space import FreeSpace
from api.metrics import Metrics
from api.queue_notices import QueueNotices
from blocks.access.addresses import Network
from blocks.access.rates import Rates
from hpc.tokens import Keys
from track.schema.database import transact

T = TypeVar("T")

log = logging.getLogger(__name__)

AGENT_REQUESTS_S, AGENT_BURST = 30.0, 120
"""What one agent may ask: many times what one that takes tiny jobs does."""

STRANGER_REQUESTS_S, STRANGER_BURST = 1.0, 30
"""What one address may ask that has yet to prove whose it is: hosts join together, guesses fail."""

TokenSource = Callable[[], Awaitable[tuple[str, float]]]
"""Asked for an archive token: the text and the seconds it lives."""


class Announces(Protocol):
    """Sends committed events to Prefect; `last_error`: why they wait."""

    last_error: str

    def notify(self) -> None:
        """There may be something to announce."""


@dataclass(frozen=True)
class ClusterApi:
    """How the clusters' application is set up.

    Attributes:
        database_url: a `postgresql+psycopg` URL.
        keys: what attempts' tokens are signed with.
        announcing: opens what announces to Prefect for as long as the application runs.
        ars_tokens: opens the source of archive tokens for as long as the application runs.
        file_proxy: the base of the archive's file service, without `/assetfiles`.
        outputs: the folder for the small files that jobs send.
        legacy_prefix: what stands before the paths of existing scripts.
        legacy_callbacks: networks whose scripts need no token.
        trusted_proxies: networks that are believed about a client's address.
        pool: connections kept to the database; as many again are made when they are short.
        runner: what agents fetch to run their work with, `runner-<sha256>.pyz`.
        places: the folders whose disks' room is among the figures, by what they are called there.
    """

    database_url: str = field(repr=False)
    keys: Keys = field(repr=False)
    announcing: Callable[[AsyncEngine], AbstractAsyncContextManager[Announces]]
    ars_tokens: Callable[[], AbstractAsyncContextManager[TokenSource]]
    file_proxy: str
    outputs: Path
    legacy_prefix: str = "/dev"
    legacy_callbacks: tuple[Network, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    pool: int = 10
    runner: Path | None = None
    places: Mapping[str, Path] = field(default_factory=dict)

    @property
    def runner_digest(self) -> str:
        """The SHA-256 of the runner, which its name holds; empty without one."""
        return "" if self.runner is None else self.runner.stem.removeprefix("runner-")


@dataclass(frozen=True)
class Context:
    """One running application."""

    config: ClusterApi
    engine: AsyncEngine
    metrics: Metrics
    announcer: Announces
    ars_token: TokenSource
    queues: QueueNotices
    space: FreeSpace
    agents: Rates = field(default_factory=lambda: Rates(AGENT_REQUESTS_S, AGENT_BURST))
    strangers: Rates = field(default_factory=lambda: Rates(STRANGER_REQUESTS_S, STRANGER_BURST))

    async def transact(self, work: Callable[..., Awaitable[T]], **given: Any) -> T:
        """One transaction, repeated when PostgreSQL chose it as a deadlock's victim."""
        return await transact(self.engine, work, **given)

    def note(self, kind: str, outcome: str, about: Mapping[str, object]) -> None:
        """Count a callback and write its line; an event of one that was applied is announced.

        `about`: what the line is about.
        """
        self.metrics.callback(kind, outcome)
        log.info("%s: %s", kind, outcome, extra=about)
        if outcome == "applied":
            self.announcer.notify()


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
