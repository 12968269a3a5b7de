"""What a browser's signed cookie says of a login, and whether it still holds."""

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from blocks.access.passwords import fingerprint
from blocks.access.users import LocalUser, Role, UsersFile
from board.visitors import Visitor, csrf_token

LOGIN = "login"


class LoginRecord(BaseModel):
    """A login; `at` in seconds since 1970.

    `password` is the fingerprint of a local user's hash. The role of somebody whom the provider
    vouches for is that of the moment; a local user's is looked up whenever it matters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: Literal["local", "oidc"]
    at: float
    password: str = ""
    role: Role | None = None


def begin_local(request: Request, user: LocalUser) -> None:
    """Make the browser's session anew, as that user's."""
    proof = fingerprint(user.password)
    _begin(request, LoginRecord(name=user.name, source="local", at=time.time(), password=proof))


def begin_oidc(request: Request, name: str, role: Role) -> None:
    """Make the browser's session anew, as that of somebody whom the provider vouches for."""
    _begin(request, LoginRecord(name=name, source="oidc", at=time.time(), role=role))


def _begin(request: Request, record: LoginRecord) -> None:
    # Nothing of before is kept: whoever knew the old session's token knows nothing of this one.
    request.session.clear()
    request.session[LOGIN] = record.model_dump(mode="json")
    csrf_token(request)


def end(request: Request) -> str:
    """Forget the login; whose it was, or empty."""
    record = _record(request.session)
    request.session.clear()
    return record.name if record else ""


def visitor_in(
    request: Request, users: UsersFile | None, hours: float, *, oidc: bool
) -> Visitor | None:
    """Whose session it is; None when nobody has logged in, or it holds no more.

    `oidc`: whether there is still a provider. Raises BrokenUsersFile.
    """
    record = _record(request.session)
    if record is None or time.time() - record.at > hours * 3600:
        return None
    local = users.find(record.name) if users else None
    if record.source == "oidc":
        # In the history nobody is taken for a local user of the same name.
        name = f"{record.name} (oidc)" if local else record.name
        return Visitor(name, record.role) if oidc and record.role else None
    if local is None or local.disabled or fingerprint(local.password) != record.password:
        return None
    return Visitor(local.name, local.role)


def _record(session: dict[str, Any]) -> LoginRecord | None:
    try:
        return LoginRecord.model_validate(session.get(LOGIN))
    except ValidationError:
        return None
