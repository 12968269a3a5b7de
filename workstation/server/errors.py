"""What can go wrong between a workstation and the server, and whether trying again may help."""

from schemas.uploads import RefusalCode

PASSING = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507})
"""Statuses of answers that may be others a little later."""

_PASSING_CODES = frozenset({RefusalCode.WRONG_OFFSET, RefusalCode.BEING_WRITTEN})


class ServerProblem(Exception):
    """The server did not do what was asked; `text` says why, and what to do.

    `retry_after`: seconds after which it asks to be tried again, if it said so.
    """

    code = "server_problem"
    may_retry = False
    retry_after: float | None = None

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class BadServerAddress(ServerProblem, ValueError):
    """What was given is not the address of a server, or not one that passwords may go to."""

    code = "bad_server_address"


class ServerAway(ServerProblem):
    """The server was not reached, or broke off."""

    code = "server_away"
    may_retry = True


class ServerUntrusted(ServerProblem):
    """Whoever answers at the address cannot prove to be the server."""

    code = "server_untrusted"


class ServerNotUnderstood(ServerProblem):
    """Something answers at the address that does not speak as the upload API does."""

    code = "server_not_understood"


class LoginNeeded(ServerProblem):
    """Name or password are wrong, or the login has ended."""

    code = "login_needed"


class ServerRefused(ServerProblem):
    """The server understood and refuses; `code` is its word, `files` are those that it names."""

    def __init__(
        self,
        code: str,
        text: str,
        retry_after: float | None = None,
        *,
        status: int = 400,
        files: tuple[str, ...] = (),
    ) -> None:
        super().__init__(text)
        self.code, self.retry_after, self.status, self.files = code, retry_after, status, files

    @property
    def may_retry(self) -> bool:  # type: ignore[override]
        """Whether the same may be answered otherwise in a while."""
        return self.status in PASSING or self.code in _PASSING_CODES
