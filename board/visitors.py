"""Who looks at the board, and what they may do there."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, HTTPException, Request


class Role(StrEnum):
    """What somebody may do: a reader sees everything, an operator may also act."""

    READER = "reader"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Visitor:
    """Somebody who looks at the board; without a name where nobody is configured."""

    name: str = ""
    role: Role = Role.READER

    @property
    def acts(self) -> bool:
        """Whether they may run an operator's verb."""
        return self.role is Role.OPERATOR


async def visitor_of(request: Request) -> Visitor:
    """Who asks."""
    return Visitor()


def csrf_token(request: Request) -> str:
    """What a form of this visitor has to send along."""
    return ""


Reader = Annotated[Visitor, Depends(visitor_of)]


async def _operator(visitor: Reader) -> Visitor:
    if not visitor.acts:
        raise HTTPException(403, "only an operator may do this: ask who keeps the board")
    return visitor


Operator = Annotated[Visitor, Depends(_operator)]
