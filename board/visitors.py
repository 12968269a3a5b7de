"""Who looks at the board, and what they may do there."""

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from blocks.access.users import Role

__all__ = ["STRANGER", "Operator", "Reader", "Role", "Visitor", "csrf_token", "visitor_of"]

CSRF = "csrf"
"""The name of the token in a session, and of the hidden field of a form."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who looks at the board; without a name where nobody is configured.

    Without a role it is somebody who has yet to log in.
    """

    name: str = ""
    role: Role | None = Role.READER

    @property
    def acts(self) -> bool:
        """Whether they may run an operator's verb."""
        return self.role is Role.OPERATOR


STRANGER = Visitor(role=None)


async def visitor_of(request: Request) -> Visitor:
    """Who asks, as `board.login.admission` has found."""
    visitor: Visitor = request.state.visitor
    return visitor


def csrf_token(request: Request) -> str:
    """What a form of this visitor has to send along; drawn once for a session."""
    token: str = request.session.get(CSRF) or secrets.token_urlsafe(24)
    if CSRF not in request.session:
        request.session[CSRF] = token
    return token


Reader = Annotated[Visitor, Depends(visitor_of)]


async def _operator(visitor: Reader) -> Visitor:
    if not visitor.acts:
        raise HTTPException(403, "only an operator may do this: ask who keeps the board")
    return visitor


Operator = Annotated[Visitor, Depends(_operator)]
