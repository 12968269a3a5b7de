"""Who calls, and into which workstations' folders their files may go."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.workstations.context import Here, UploadContext
from api.workstations.logins import PREFIX, BadLoginToken, LoginExpired
from api.workstations.refusals import UploadRefused
from blocks.access.addresses import client_address
from blocks.access.bearer import BadBearer, BearerExpired
from blocks.access.claims import ProviderAway
from blocks.access.signing_in import TooManyLogins, WrongLogin
from blocks.access.users import BrokenUsersFile, LocalUser
from schemas.digitisation import ANY_WORKSTATION, may_upload_to, upload_target
from schemas.guid import GuidError
from schemas.uploads import RefusalCode
from schemas.yaml_lines import nearest

log = logging.getLogger(__name__)

bearer = HTTPBearer(auto_error=False, description="The token of a login, or a provider's.")
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True)
class Digitiser:
    """Somebody who is logged in; `workstations`: whose folders they write into, `*` all.

    `until`: when the provider's token ends, if it is one.
    """

    name: str
    workstations: tuple[str, ...]
    until: datetime | None = None


async def digitiser(shown: Shown, here: Here) -> Digitiser:
    """Whose token is shown; 401 without one that is good."""
    if shown is None:
        text = "log in first: show the token as `Authorization: Bearer …`"
        raise UploadRefused(RefusalCode.WRONG_LOGIN, text)
    try:
        if shown.credentials.startswith(PREFIX):
            user = here.tokens.read(shown.credentials)
            return Digitiser(user.name, user.workstations)
        return await _of_provider(here, shown.credentials)
    except (LoginExpired, BearerExpired) as error:
        raise UploadRefused(RefusalCode.LOGIN_EXPIRED, str(error)) from None
    except (BadLoginToken, BadBearer) as error:
        raise UploadRefused(RefusalCode.WRONG_LOGIN, str(error)) from None
    except (BrokenUsersFile, ProviderAway) as error:
        raise nobody_knows(error) from error


async def _of_provider(here: UploadContext, token: str) -> Digitiser:
    if here.config.bearer is None:
        raise BadLoginToken("it is no login of this server: log in again")
    user = await here.config.bearer.check(token)
    try:  # two people may have one name, here and there
        name = f"{user.name} (oidc)" if here.users.find(user.name) else user.name
    except BrokenUsersFile:  # which keeps local users out, and nobody else
        name = user.name
    return Digitiser(name, user.workstations, user.expires_at)


async def log_in(here: UploadContext, request: Request, name: str, password: str) -> LocalUser:
    """Check a name and a password. Raises UploadRefused."""
    address = client_address(
        request.client.host if request.client else "",
        request.headers.getlist("x-forwarded-for"),
        here.config.trusted_proxies,
    )
    try:
        return await here.login.check(name, password, address)
    except WrongLogin as error:
        text = f"{error}; the server's people give a new password"
        raise UploadRefused(RefusalCode.WRONG_LOGIN, text) from None
    except TooManyLogins as error:
        raise UploadRefused(RefusalCode.TOO_MANY_LOGINS, str(error), wait_s=error.wait_s) from None
    except BrokenUsersFile as error:
        raise nobody_knows(error) from error


def nobody_knows(error: Exception) -> UploadRefused:
    """Who may log in cannot be told just now; the reason is for the server's people."""
    log.error("nobody can log in: %s", error)
    text = "logins cannot be checked just now; the server's people find the reason in its log"
    return UploadRefused(RefusalCode.TRY_LATER, text, wait_s=30)


def check_workstation(here: UploadContext, caller: Digitiser, workstation: str) -> str:
    """The workstation, if the caller may write into its folder. Raises UploadRefused."""
    if not may_upload_to(caller.workstations, workstation):
        raise UploadRefused(
            RefusalCode.NOT_YOUR_WORKSTATION,
            f"{caller.name} may not send for workstation {workstation!r:.80}; "
            "`refinery user workstations` on the server gives that right",
        )
    if not here.drive.approves(workstation) or not _is_folder_name(workstation):
        near = nearest(workstation, here.config.workstations)
        raise UploadRefused(
            RefusalCode.UNKNOWN_WORKSTATION,
            f"no workstation is called {workstation!r:.80}"
            + (f"; is {near} meant?" if near else "; the server's settings name them"),
        )
    return workstation


def _is_folder_name(name: str) -> bool:
    """Whether it is one plain folder; with `*` approved it may be any text."""
    try:
        return upload_target(name) != ANY_WORKSTATION
    except GuidError:
        return False


Caller = Annotated[Digitiser, Depends(digitiser)]
