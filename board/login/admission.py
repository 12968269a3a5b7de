"""Whether a request is answered: the one place that every page's request goes through.

Without a login there are only the page to log in, and health and metrics for machines. What may
change something needs an operator, and a form of ours.
"""

import logging
from urllib.parse import urlencode

from fastapi import HTTPException, Request

from blocks.access.addresses import Address, client_address
from blocks.access.passwords import Passwords
from blocks.access.signing_in import LocalLogin
from blocks.access.users import BrokenUsersFile, Role, Users, UsersFile
from board.login.config import LoginConfig
from board.login.forgery import SAFE, refuse_forged
from board.login.oidc import Provider
from board.login.sessions import visitor_in
from board.login.unnamed import unnamed_visitor
from board.visitors import STRANGER, Visitor

log = logging.getLogger(__name__)

FOR_MACHINES = frozenset({"/health", "/metrics"})
TO_LOG_IN = frozenset({"/login", "/login/oidc", "/login/oidc/callback", "/logout"})

MAX_NAMED = 5
BROKEN = (
    "Nobody can log in just now: the list of users cannot be read. Tell who keeps the board; "
    "`refinery doctor` says what is wrong with it."
)


class BoardLogin:
    """All that lets people in; `host` is the address that the board listens on."""

    def __init__(self, config: LoginConfig, host: str) -> None:
        self.config, self._host = config, host
        self.users = UsersFile(config.users_file) if config.users_file else None
        self.local = LocalLogin(self.users, Passwords()) if self.users else None
        self.provider = Provider(config.oidc) if config.oidc else None
        self._fault = ""

    def address_of(self, request: Request) -> Address | None:
        """From where a request comes; None when that cannot be read."""
        return client_address(
            request.client.host if request.client else "",
            request.headers.getlist("x-forwarded-for"),
            self.config.trusted_proxies,
        )

    def who(self, request: Request) -> Visitor:
        """Who asks. Raises HTTPException where nobody may, 503 while the file is broken."""
        if self.provider is None and not self._listed():
            return unnamed_visitor(request, self._host, self.config.address)
        try:
            hours, oidc = self.config.hours, self.provider is not None
            return visitor_in(request, self.users, hours, oidc=oidc) or STRANGER
        except BrokenUsersFile as error:
            raise self.refusing(error) from error

    def refusing(self, error: BrokenUsersFile) -> HTTPException:
        """The answer while the file is broken; the log has each fault once."""
        if str(error) != self._fault:
            log.error("every login is refused: %s", error)
        self._fault = str(error)
        return HTTPException(503, BROKEN)

    def operators(self) -> str:
        """Whom to ask for what only an operator may do."""
        names = [u.name for u in self._listed().values() if u.role is Role.OPERATOR]
        return ", ".join(names[:MAX_NAMED]) or "who keeps the board"

    def _listed(self) -> Users:
        try:
            return self.users.read() if self.users else {}
        except BrokenUsersFile as error:
            raise self.refusing(error) from error


def login_of(request: Request) -> BoardLogin:
    """What lets people in to this application."""
    login: BoardLogin = request.app.state.login
    return login


async def admit(request: Request) -> None:
    """Find who asks, and refuse what they may not. Raises HTTPException."""
    path = request.url.path
    if path in FOR_MACHINES:
        return
    login = login_of(request)
    visitor = request.state.visitor = login.who(request)
    if request.method not in SAFE:
        await refuse_forged(request, login.config.address)
    if path in TO_LOG_IN:
        return
    if visitor.role is None:
        raise _log_in_first(request)
    if request.method not in SAFE and not visitor.acts:
        raise HTTPException(403, f"Only an operator may do this: ask {login.operators()}.")


def _log_in_first(request: Request) -> HTTPException:
    if "application/json" in request.headers.get("accept", ""):
        return HTTPException(401, "log in first, at /login")
    query = f"?{request.url.query}" if request.url.query else ""
    asked = {"next": request.url.path + query} if request.method in SAFE else {}
    where = f"/login?{urlencode(asked)}" if asked else "/login"
    return HTTPException(303, "Log in first.", {"Location": where})
