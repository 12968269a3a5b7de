"""What the pages of the board share: its settings, its database, and how a page is made.

It is made when the application starts, and kept in its state; nothing is global.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from board.login.config import LoginConfig
from board.visitors import Visitor, csrf_token
from track.schema.database import reading

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE_S = 15.0
"""A page that cannot be answered within this is given up, and says what to narrow."""


@dataclass(frozen=True)
class BoardConfig:
    """How the board is set up.

    Attributes:
        database_url: a `postgresql+psycopg` URL.
        prefect, prefect_api: Prefect's pages, for links, and its API, for operators' verbs.
        login: who may log in and for how long.
        host: the address it listens on; on others than this host's own nobody looks unnamed.
        places: folders whose free space people want to know, by the name they know.
        previews: the folder of small pictures; None: no pictures are shown.
        pool: connections kept to the database; as many again are made when they are short.
    """

    database_url: str = field(repr=False)
    prefect: str
    prefect_api: str
    login: LoginConfig = field(default_factory=LoginConfig)
    host: str = "127.0.0.1"
    places: Mapping[str, Path] = field(default_factory=dict)
    previews: Path | None = None
    pool: int = 5


@dataclass(frozen=True)
class Board:
    """The running board."""

    config: BoardConfig
    engine: AsyncEngine
    templates: Environment
    kept: dict[Any, Any] = field(default_factory=dict)

    def keep(self, kind: type[T]) -> T:
        """What pages of one kind keep between requests, made when it is first asked for."""
        found: T = self.kept.setdefault(kind, kind())
        return found

    async def read(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """One transaction that can write nothing and does not take for ever."""
        async with reading(self.engine, PATIENCE_S) as tx:
            return await work(tx, *args, **named)

    def render(self, template: str, **found: Any) -> str:
        """A part of a page as HTML."""
        return self.templates.get_template(template).render(config=self.config, **found)

    def page(
        self, request: Request, template: str, visitor: Visitor, status: int = 200, **found: Any
    ) -> HTMLResponse:
        """A whole page."""
        shown = self.render(
            template,
            path=request.url.path,
            query=request.url.query,
            visitor=visitor,
            csrf_token=csrf_token(request),
            **found,
        )
        return HTMLResponse(shown, status)


async def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    return board


Here = Annotated[Board, Depends(_board)]
