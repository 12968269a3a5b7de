"""Who calls as an agent, or to become one; how often it may, and that it calls for its own site."""

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request

from api.callers import Shown, unauthorised
from api.context import Here
from blocks.access.addresses import client_address
from schemas.pipeline.model import Name
from track.jobs.agents import Agent, AgentGone, UnknownAgent, find_by_token

SiteName = Annotated[Name, Path(description="The site whose work it is.")]


@dataclass(frozen=True)
class AgentCaller:
    """An agent, and the token that it showed."""

    agent: Agent
    token: str


def _too_often(wait_s: float) -> HTTPException:
    again = {"Retry-After": str(max(1, math.ceil(wait_s)))}
    return HTTPException(429, "too many requests: wait, then send the same again", again)


async def _check_strangers(request: Request, here: Here) -> str:
    """Count a call that has yet to prove whose it is, by its address."""
    address = client_address(
        request.client.host if request.client else "",
        request.headers.getlist("x-forwarded-for"),
        here.config.trusted_proxies,
    )
    caller = str(address)
    if wait_s := here.strangers.wait_s(caller):
        raise _too_often(wait_s)
    return caller


async def agent_caller(site: SiteName, request: Request, shown: Shown, here: Here) -> AgentCaller:
    """The agent whose token is shown; 401 without one, 403 at another site, 410 when it is gone."""
    number, _, token = (shown.credentials if shown else "").partition(".")
    if not number.isdecimal() or not token or len(number) > 18:
        raise unauthorised("show `Authorization: Bearer <agent>.<its token>`")
    try:
        found = await here.transact(lambda tx: find_by_token(tx, int(number), token))
    except UnknownAgent as error:
        await _check_strangers(request, here)
        raise unauthorised(f"{error}: join again") from None
    except AgentGone as error:
        raise HTTPException(410, f"{error}: join again") from None
    if found.site != site:
        raise HTTPException(403, f"agent {found.id} is one of site {found.site}")
    if wait_s := here.agents.wait_s(found.id):
        raise _too_often(wait_s)
    return AgentCaller(found, token)


async def join_token(request: Request, shown: Shown, here: Here) -> str:
    """The join token that is shown; 401 without one."""
    await _check_strangers(request, here)
    if shown is None:
        raise unauthorised("show the join token as `Authorization: Bearer …`")
    return shown.credentials


KnownAgent = Annotated[AgentCaller, Depends(agent_caller)]
JoinToken = Annotated[str, Depends(join_token)]
