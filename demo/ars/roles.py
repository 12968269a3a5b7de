"""Who may do what.

Each operation names the realm roles that may call it. Beyond that, an institution, a
collection, a specimen or an asset may be restricted to holders of `WRITE_<r>` or `READ_<r>`.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Literal

from fastapi import Depends, Request

from demo.ars.errors import NotSignedIn, RoleMissing
from demo.ars.tokens import InvalidToken, User
from demo.ars.world import InWorld, World

ADMIN = "dassco-admin"
DEVELOPER = "dassco-developer"
USER = "dassco-user"
SERVICE = "service-user"


def _user_of(world: World, request: Request, *, role_protected: bool) -> User:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise NotSignedIn(missing=True, role_protected=role_protected)
    try:
        return world.tokens.verify(token.strip())
    except InvalidToken as error:
        raise NotSignedIn(missing=False) from error


def _require(*roles: str) -> Callable[[InWorld, Request], Awaitable[User]]:
    async def user(world: InWorld, request: Request) -> User:
        signed_in = _user_of(world, request, role_protected=True)
        if not signed_in.roles.intersection(roles):
            raise RoleMissing
        return signed_in

    return user


async def _anyone_signed_in(world: InWorld, request: Request) -> User:
    return _user_of(world, request, role_protected=False)


async def _maybe_signed_in(world: InWorld, request: Request) -> User | None:
    if "authorization" not in request.headers:
        return None
    return _user_of(world, request, role_protected=False)


async def _may_delete(world: InWorld, request: Request) -> User:
    """Deleting became an administrator's act after v2.6."""
    roles = [ADMIN] if world.config.is_current else [ADMIN, SERVICE, DEVELOPER]
    return await _require(*roles)(world, request)


Anyone = Annotated[User, Depends(_anyone_signed_in)]
Visitor = Annotated[User | None, Depends(_maybe_signed_in)]
AnyRole = Annotated[User, Depends(_require(ADMIN, USER, DEVELOPER, SERVICE))]
AdminServiceDeveloper = Annotated[User, Depends(_require(ADMIN, SERVICE, DEVELOPER))]
AdminService = Annotated[User, Depends(_require(ADMIN, SERVICE))]
MayDelete = Annotated[User, Depends(_may_delete)]


def allowed(user: User, access: Literal["READ", "WRITE"], restrictions: Iterable[str]) -> bool:
    """Whether `user` may pass; no restriction lets everyone pass, and WRITE implies READ."""
    names = list(restrictions)
    wanted = {f"WRITE_{name}" for name in names}
    if access == "READ":
        wanted |= {f"READ_{name}" for name in names}
    return not names or bool(user.roles & wanted)
