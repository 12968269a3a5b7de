"""A problem that a workstation met, as it is told to the server and becomes an issue.

It holds no personal data: what made it cleans its texts by `without_personal_data`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from schemas.digitisation import WorkstationName
from schemas.storable import why_not_storable
from schemas.uploads import Sha256

MAX_SUMMARY, MAX_DETAILS, MAX_FACT = 200, 8_000, 100
"""Characters of a problem's texts."""

MAX_TIMES = 1_000_000

REPOSITORY = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
"""Where problems become issues: `owner/name` as GitHub has them, neither of dots alone."""

ProblemStep = Literal["login", "scan", "read", "name", "upload", "confirm", "delete", "other"]
"""What the workstation was at."""

ProblemCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


def _storable(text: str) -> str:
    if reason := why_not_storable(text):
        raise ValueError(reason)
    return text


Summary = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SUMMARY),
    AfterValidator(_storable),
]
Details = Annotated[str, StringConstraints(max_length=MAX_DETAILS), AfterValidator(_storable)]
Fact = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_FACT), AfterValidator(_storable)
]


class WorkstationProblem(BaseModel):
    """What went wrong at a workstation; `fingerprint` is the same wherever the same went wrong.

    `workstation` is empty where none was chosen yet. `times`: how often it happened within an
    hour from `occurred_at`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    workstation: WorkstationName | Literal[""]
    step: ProblemStep
    code: ProblemCode
    summary: Summary
    details: Details = ""
    client_version: Fact
    system: Fact
    python: Fact
    occurred_at: AwareDatetime
    fingerprint: Sha256
    times: int = Field(default=1, ge=1, le=MAX_TIMES)


def fingerprint_of(step: str, code: str, exception_type: str, place: str) -> str:
    """The SHA-256 of what is the same at every workstation; `place` is one in our own code."""
    facts = json.dumps([step, code, exception_type, place])
    return hashlib.sha256(facts.encode("ascii")).hexdigest()


REMOVED, E_MAIL, HOME, USER = "<removed>", "<e-mail>", "~", "user"

_SECRETS = ("passw(?:or)?d", "pwd", "token", "secret", "api_?key", "signature", "credentials?")
_KEY = rf"[\w-]{{0,40}}(?:{'|'.join(_SECRETS)})[\w-]{{0,40}}"
# Counts are bounded, so that a text of one long word is read in a time that grows with it only.
_CLEANED = tuple(
    (re.compile(pattern, re.IGNORECASE), by)
    for pattern, by in (
        # A password may hold @ itself, so that the last one before the host counts.
        (r"(://)[^\s/]*@", r"\1"),
        (r"(authorization\b['\"]?\s*[:=]\s*['\"]?)(?:\w+\s+)?[^\s'\",]+", rf"\1{REMOVED}"),
        (r"\b(bearer)\s+[^\s'\",<][^\s'\",]*", rf"\1 {REMOVED}"),
        (r"\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*", REMOVED),
        (r"\b(?:gh[a-z]_|github_pat_)\w{20,}", REMOVED),
        (rf"((['\"]){_KEY}\2\s*:\s*)(['\"]).*?(?<!\\)\3", rf"\1{REMOVED}"),
        (rf"({_KEY}\s*=\s*)(['\"]).*?(?<!\\)\2", rf"\1{REMOVED}"),
        (rf"({_KEY}\s*(?:=|%3D)\s*)[^&\s,;'\"<>)\]}}]+", rf"\1{REMOVED}"),
        (r"[\w.+%-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+", E_MAIL),
    )
)
"""What is removed whoever the user is, in this order."""

_SEPARATOR = r"(?:[\\/]|%5C|%2F){1,4}"
_OTHER_HOMES = re.compile(
    rf"(?:\b[a-z](?::|%3A))?{_SEPARATOR}(?:users|documents and settings|home){_SEPARATOR}"
    r"(?:[^\\/:*?\"<>|%\s]+(?: [^\\/:*?\"<>|%\s]+){0,3}(?=[\\/])|[^\\/:*?\"'<>|%\s]+)",
    re.IGNORECASE,
)
"""Anybody's home folder; its name has spaces only where a further folder follows it."""


def without_personal_data(text: str, home: str, user: str) -> str:
    """The text without names, addresses and secrets of people; `home` and `user` may be empty.

    The home folder becomes `~`, in whatever form it is written, and others' do too; the user's
    name becomes `user`. Passwords and tokens are removed, and addresses of mail.
    """
    for pattern, by in _CLEANED:
        text = pattern.sub(by, text)
    if own := _of_folder(home):
        text = own.sub(HOME, text)
    text = _OTHER_HOMES.sub(HOME, text)
    named = _of_name(user.strip())
    return named.sub(USER, text) if named else text


@lru_cache(maxsize=16)
def _of_folder(folder: str) -> re.Pattern[str] | None:
    """Where a folder is written: with either slash, doubled, or percent-encoded; None: nowhere."""
    parts = [part for part in re.split(r"[\\/]+", folder) if part]
    drive = re.fullmatch(r"([A-Za-z]):", parts[0]) if parts else None
    if len(parts) <= (drive is not None):
        return None
    begin = rf"(?:file:/*)?{drive[1]}(?::|%3A)" if drive else _written(parts[0])
    path = _SEPARATOR.join([begin, *map(_written, parts[1:])])
    before = r"(?<!\w)" if drive else _SEPARATOR
    return re.compile(rf"{before}{path}(?![\w-])", re.IGNORECASE)


@lru_cache(maxsize=16)
def _of_name(name: str) -> re.Pattern[str] | None:
    """Where a name is a word of its own, or is one beside digits and underscores."""
    if not name:
        return None
    # Next to a digit a name of one or two letters is as likely a part of a number.
    letters = r"[^\W_]" if len(name) < 3 else r"[^\W\d_]"
    before = rf"(?:(?<!{letters})|(?<=%[0-9a-f]{{2}}))"
    return re.compile(rf"{before}{_written(name)}(?!{letters})", re.IGNORECASE)


def _written(name: str) -> str:
    """A pattern of the forms of a name: its accents apart or not, percent-encoded or not."""
    return f"(?:{'|'.join(re.escape(form) for form in dict.fromkeys(_forms(name)))})"


def _forms(name: str) -> Iterator[str]:
    for form in ("NFC", "NFD"):
        plain = unicodedata.normalize(form, name)
        yield plain
        yield quote(plain, safe="")
        yield plain.encode("unicode_escape").decode("ascii")
