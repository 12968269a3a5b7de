"""The users of this system in a file, `users.toml`: names, roles, password hashes, and the
workstations' folders that their uploads may go into.

It is read again whenever it has changed, so that whoever is removed is gone at once. A file that
cannot be understood lets nobody in.
"""

import fcntl
import json
import os
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from blocks.changing_file import ChangingFile
from schemas.digitisation import UploadTarget

MAX_NAME = 100
"""Characters of a name."""

HEAD = """\
# Who may log in. `refinery user add|remove|password|role|workstations` write this file; edited by
# hand it is read again at once. `disabled = true` keeps somebody out; comments are not kept.
"""


class Role(StrEnum):
    """What a user may: a reader sees everything, an operator may also act."""

    READER = "reader"
    OPERATOR = "operator"


class BrokenUsersFile(ValueError):
    """The file cannot be read or understood; the message names it, the fault and the remedy."""


class CannotChangeUser(ValueError):
    """A user cannot be added or changed as was asked; the message says why."""


def user_name(text: str) -> str:
    """A name as it is kept and shown: composed Unicode. Raises ValueError for what is no name."""
    name = unicodedata.normalize("NFC", text)
    if not name or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(
            f"name: write 1 to {MAX_NAME} characters that can be printed, without a blank at "
            "either end; the history names people by it"
        )
    return name


def account(name: str) -> str:
    """What two spellings of one name have in common: capitals and composition do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _argon2id(text: str) -> str:
    try:
        extract_parameters(text)
    except InvalidHashError:
        raise ValueError("it is no argon2 hash: run `refinery user password NAME`") from None
    return text


class LocalUser(BaseModel):
    """One user of the file.

    `workstations` are those into whose folders their uploads may go; `*` among them: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(user_name)]
    role: Role
    password: Annotated[str, AfterValidator(_argon2id), Field(repr=False)]
    disabled: bool = False
    workstations: tuple[UploadTarget, ...] = ()


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: list[LocalUser] = []


Users = Mapping[str, LocalUser]
"""Users by what `account` makes of their names."""


class UsersFile:
    """The file of users; one that is not there has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = ChangingFile(path, partial(_parsed, path))

    def read(self) -> Users:
        """The users as the file has them now. Raises BrokenUsersFile."""
        try:
            return self._content.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BrokenUsersFile(f"{self.path} cannot be read: {error.strerror}") from error

    def find(self, name: str) -> LocalUser | None:
        """The user of that name, in whatever spelling. Raises BrokenUsersFile."""
        return self.read().get(account(name))

    def add(self, user: LocalUser) -> None:
        """Add somebody. Raises CannotChangeUser for a name that is there, or BrokenUsersFile."""
        with self._changing() as users:
            there = users.setdefault(account(user.name), user)
            if there is not user:
                raise CannotChangeUser(
                    f"{there.name} is a user already: `refinery user password` and "
                    "`refinery user role` change one"
                )

    def remove(self, name: str) -> LocalUser:
        """Remove somebody, and return who that was. Raises CannotChangeUser, BrokenUsersFile."""
        with self._changing() as users:
            return users.pop(_known(users, name))

    def change(self, name: str, how: Callable[[LocalUser], LocalUser]) -> LocalUser:
        """Change somebody. Raises CannotChangeUser for an unknown name, or BrokenUsersFile."""
        with self._changing() as users:
            key = _known(users, name)
            users[key] = how(users[key])
            return users[key]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, LocalUser]]:
        """The users, written at the block's end; one process at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            users = dict(self.read())
            yield users
            self._write(users)

    def _write(self, users: Users) -> None:
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(_written(user) for user in users.values()))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def _known(users: Users, name: str) -> str:
    key = account(name)
    if key not in users:
        there = ", ".join(user.name for user in users.values()) or "nobody"
        raise CannotChangeUser(f"there is no user {name!r}; there is: {there}")
    return key


def _parsed(path: Path, data: bytes) -> Users:
    remedy = "correct it; until then nobody can log in"
    try:
        listed = _Content.model_validate(tomllib.loads(data.decode())).user
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenUsersFile(f"{path} is not valid TOML: {error}; {remedy}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step + 1 if isinstance(step, int) else step) for step in first["loc"])
        raise BrokenUsersFile(f"{path}: {where}: {first['msg']}; {remedy}") from None
    users = {account(user.name): user for user in listed}
    if len(users) < len(listed):
        names = [account(user.name) for user in listed]
        twice = next(name for name in names if names.count(name) > 1)
        raise BrokenUsersFile(f"{path}: {twice!r} is there twice; {remedy}")
    return users


def _written(user: LocalUser) -> str:
    """A user as TOML, whose strings are those of JSON."""
    lines = [
        "",
        "[[user]]",
        f"name = {json.dumps(user.name, ensure_ascii=False)}",
        f'role = "{user.role}"',
        f"password = {json.dumps(user.password)}",
    ]
    if user.workstations:
        lines.append(f"workstations = {json.dumps(user.workstations, ensure_ascii=False)}")
    return "\n".join([*lines, *["disabled = true"] * user.disabled, ""])
