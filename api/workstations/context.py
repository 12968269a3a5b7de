"""What the routes of the workstations' application share: its settings, its engine, the drive.

It is made when the application starts, and kept in its state; nothing is global.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.folders import Drive
from api.workstations.logins import LoginTokens
from api.workstations.receiving import Parts
from blocks.access.addresses import Network
from blocks.access.bearer import BearerTokens
from blocks.access.rates import Rates
from blocks.access.signing_in import LocalLogin
from blocks.access.users import UsersFile
from schemas.digitisation import Digitisation
from schemas.problems import WorkstationProblem
from track.schema.database import transact

T = TypeVar("T")

PROBLEMS_S, PROBLEMS_BURST = 1 / 10, 30
"""Problems that one person's workstations may tell of."""

MAX_FILE = 20_000_000_000
"""Bytes of the largest file that is taken."""


class OffersValues(Protocol):
    """Gives what workstations choose from, as it is written now. Raises DigitisationError."""

    def read(self) -> Digitisation:
        """All of it."""


@dataclass(frozen=True)
class WorkstationApi:
    """How the workstations' application is set up.

    Attributes:
        database_url: a `postgresql+psycopg` URL.
        n_drive: the root under which workstations' folders lie.
        workstations: the folders that are watched; `*`: all.
        offered: what workstations choose from.
        users_file: who may log in by name and password.
        secret: what login tokens are signed with.
        login_hours: after how many hours a login ends.
        bearer: checks a provider's tokens; None without one.
        report: has a problem of a workstation become an issue, and gives its address; raises
            TrackerError. None: only the log has them.
        trusted_proxies: networks that are believed about a client's address.
        max_file: bytes of the largest file that is taken.
        pool: connections kept to the database; as many again are made when they are short.
    """

    database_url: str = field(repr=False)
    n_drive: Path
    workstations: tuple[str, ...]
    offered: OffersValues
    users_file: Path
    secret: str = field(repr=False)
    login_hours: float = 12
    bearer: BearerTokens | None = None
    report: Callable[[WorkstationProblem], Awaitable[str]] | None = None
    trusted_proxies: tuple[Network, ...] = ()
    max_file: int = MAX_FILE
    pool: int = 10


@dataclass(frozen=True)
class UploadContext:
    """One running application."""

    config: WorkstationApi
    engine: AsyncEngine
    drive: Drive
    users: UsersFile
    login: LocalLogin
    tokens: LoginTokens
    parts: Parts = field(default_factory=Parts)
    problems: Rates = field(default_factory=lambda: Rates(PROBLEMS_S, PROBLEMS_BURST))

    async def transact(self, work: Callable[..., Awaitable[T]], *args: Any, **given: Any) -> T:
        """One transaction, repeated when PostgreSQL chose it as a deadlock's victim."""
        return await transact(self.engine, work, *args, **given)


async def _context(request: Request) -> UploadContext:
    context: UploadContext = request.app.state.context
    return context


Here = Annotated[UploadContext, Depends(_context)]
