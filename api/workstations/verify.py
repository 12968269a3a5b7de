"""Who somebody is, and what their workstation chooses from."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.workstations.callers import Caller, Shown, check_workstation, digitiser, log_in
from api.workstations.context import Here
from api.workstations.refusals import UploadRefused
from schemas.digitisation import DigitisationError, Values
from schemas.uploads import Login, RefusalCode
from schemas.yaml_lines import nearest

router = APIRouter(tags=["logins"])


class Credentials(BaseModel):
    """A name and a password; what else a form has is ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    username: Annotated[str, Field(min_length=1, max_length=200)]
    password: Annotated[str, Field(min_length=1, max_length=2000, repr=False)]


@router.get("/verify", summary="A token for old clients' forms")
async def csrf_token() -> dict[str, str]:
    """Clients of old ask for it and send it along. Nothing here trusts a cookie, so that nothing
    could be forged with one, and it is not looked at."""
    return {"csrf_token": secrets.token_urlsafe(32)}


@router.post("/verify", summary="Log in")
async def verify(request: Request, here: Here, shown: Shown) -> Login:
    """By name and password, as a form or JSON: answers with a token. With a provider's token:
    answers with whose it is."""
    if shown is not None:
        return await _shown(shown, here)
    given = await _credentials(request)
    user = await log_in(here, request, given.username, given.password)
    token, until = here.tokens.issue(user)
    return Login(name=user.name, workstations=user.workstations, token=token, expires_at=until)


async def _shown(shown: HTTPAuthorizationCredentials, here: Here) -> Login:
    caller = await digitiser(shown, here)
    return Login(name=caller.name, workstations=caller.workstations, expires_at=caller.until)


async def _credentials(request: Request) -> Credentials:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            async with request.form(max_files=0, max_fields=20) as form:
                return Credentials.model_validate(dict(form))
        return Credentials.model_validate_json(await request.body())
    except ValidationError:
        text = "write username and password, as a form or as JSON"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=422) from None


@router.get("/values", summary="What a workstation chooses from")
async def values(caller: Caller, here: Here, workstation: str) -> Values:
    """Its institution, collections with their pipelines, and suggestions."""
    check_workstation(here, caller, workstation)
    try:
        offered = here.config.offered.read()
        return offered.values_for(workstation)
    except DigitisationError as error:
        text = f"the values cannot be read; the server's people correct them: {error}"
        raise UploadRefused(RefusalCode.TRY_LATER, text, wait_s=60) from error
    except KeyError:
        near = nearest(workstation, [each.name for each in offered.workstations])
        text = f"workstations.yaml on the server does not describe {workstation}"
        raise UploadRefused(
            RefusalCode.UNKNOWN_WORKSTATION, text + (f"; it has {near}" if near else "")
        ) from None
