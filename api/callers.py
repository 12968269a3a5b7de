"""Who calls: an attempt with its token, or an existing script from a listed network.

A network that a site lists is that site's: its scripts may call for what was given to it.
Of a client's forwarded addresses only those that listed proxies added are believed.
"""

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.context import Here
from blocks.access.addresses import client_address, within
from hpc.callers import RunnerCaller, SiteScript
from hpc.tokens import BadAttemptToken
from track.commands.legacy import sites_admitting

MAX_ID = 2**63 - 1

bearer = HTTPBearer(auto_error=False, description="The token of one attempt.")
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
AttemptId = Annotated[int, Path(ge=1, le=MAX_ID, description="The attempt the token is of.")]


def _read(here: Here, shown: HTTPAuthorizationCredentials) -> RunnerCaller:
    try:
        return RunnerCaller(*here.config.keys.read(shown.credentials))
    except BadAttemptToken as error:
        raise unauthorised(str(error)) from error


def unauthorised(why: str) -> HTTPException:
    """401 with the reason; never with what was shown."""
    return HTTPException(401, why, {"WWW-Authenticate": "Bearer"})


async def attempt_caller(attempt_id: AttemptId, shown: Shown, here: Here) -> RunnerCaller:
    """The attempt that calls its own path; 401 without its token, 403 with another's."""
    if shown is None:
        raise unauthorised("show the attempt's token as `Authorization: Bearer …`")
    caller = _read(here, shown)
    if caller.attempt_id != attempt_id:
        raise HTTPException(403, f"the token is not that of attempt {attempt_id}")
    return caller


async def script_caller(
    request: Request, shown: Shown, here: Here
) -> RunnerCaller | SiteScript | None:
    """The attempt whose token is shown; None for a script that may call for any; else 401."""
    if shown is not None:
        return _read(here, shown)
    proxies, networks = here.config.trusted_proxies, here.config.legacy_callbacks
    address = client_address(
        request.client.host if request.client else "",
        request.headers.getlist("x-forwarded-for"),
        proxies,
    )
    if address is not None and within(address, networks):
        return None
    if address is not None:
        async with here.engine.connect() as connection:
            sites = await sites_admitting(connection, str(address))
        if sites:
            return SiteScript(sites)
    raise unauthorised("show an attempt's token, or have this address listed in legacy_callbacks")


AttemptCaller = Annotated[RunnerCaller, Depends(attempt_caller)]
ScriptCaller = Annotated[RunnerCaller | SiteScript | None, Depends(script_caller)]
