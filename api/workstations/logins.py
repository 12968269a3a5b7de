"""The tokens that a login by name and password gives: signed, for some hours, no cookie.

A token names its user; what the user may, and whether there is one still, is looked up anew.
"""

from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from blocks.access.passwords import fingerprint
from blocks.access.users import LocalUser, UsersFile

PREFIX = "login."
"""What a token of ours begins with, to be told from a provider's."""


class BadLoginToken(ValueError):
    """It is no token of ours, or of a user who is gone or has another password."""


class LoginExpired(ValueError):
    """The login has ended: log in again."""


class LoginTokens:
    """Gives tokens and reads them; `hours`: how long each is good."""

    def __init__(self, secret: str, hours: float, users: UsersFile) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="workstations")
        self._for = timedelta(hours=hours)
        self._users = users

    def issue(self, user: LocalUser) -> tuple[str, datetime]:
        """A token for this user, and when it ends."""
        signed = self._signer.dumps([user.name, fingerprint(user.password)])
        return f"{PREFIX}{signed}", datetime.now(UTC) + self._for

    def read(self, token: str) -> LocalUser:
        """Whose token it is. Raises BadLoginToken, LoginExpired, BrokenUsersFile."""
        try:
            name, print_ = self._signer.loads(
                token.removeprefix(PREFIX), max_age=int(self._for.total_seconds())
            )
        except SignatureExpired:
            raise LoginExpired("the login has ended: log in again") from None
        except (BadSignature, ValueError, TypeError):
            raise BadLoginToken("it is no login of this server: log in again") from None
        user = self._users.find(str(name))
        if user is None or user.disabled or fingerprint(user.password) != print_:
            raise BadLoginToken("the login is good no more: log in again")
        return user
