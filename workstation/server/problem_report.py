"""A problem of this workstation, made of what was raised and cleaned of who works at it."""

import getpass
import platform
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.problems import (
    MAX_DETAILS,
    MAX_FACT,
    MAX_SUMMARY,
    ProblemStep,
    WorkstationProblem,
    fingerprint_of,
    without_personal_data,
)

MAX_READ = 40_000
"""Characters of a text that are looked at; no error of ours says more."""

OURS = ("workstation.", "schemas.", "refinery.")
"""The modules that run on a workstation and are our own."""

_NEXT_WORD = re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CODE = re.compile("[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Machine:
    """This machine and who works at it; `names` are of people, and are never told."""

    client_version: str
    system: str
    python: str
    home: str
    names: tuple[str, ...]

    @classmethod
    def this(cls, names: Iterable[str] = ()) -> Self:
        """The machine that this runs on; `names`: of the login and of digitisers, beside it."""
        return cls(
            client_version=_client_version(),
            system=f"{platform.system()} {platform.release()}"[:MAX_FACT],
            python=platform.python_version(),
            home=_home(),
            names=(_user(), *names),
        )

    def cleaned(self, text: str) -> str:
        """The text without personal data, and without what no message can hold."""
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        if len(text) > MAX_READ:
            text = f"{text[: MAX_READ // 2]}{text[-MAX_READ // 2 :]}"
        # The longest first: a login may be a part of a full name.
        for name in sorted(self.names, key=len, reverse=True):
            text = without_personal_data(text, self.home, name)
        return text


def problem_of(
    error: BaseException,
    *,
    step: ProblemStep,
    workstation: str,
    machine: Machine,
    code: str = "",
    now: datetime | None = None,
) -> WorkstationProblem:
    """What to tell of an error that a step of a workstation ended with.

    `code` is the error's own `code` unless given, else its class's name. The traceback is told,
    without the values of variables.
    """
    kind = type(error)
    code = code or _code_of(error)
    said = machine.cleaned(str(error)).strip().partition("\n")[0].strip()
    told = machine.cleaned("".join(traceback.TracebackException.from_exception(error).format()))
    return WorkstationProblem(
        workstation=workstation,
        step=step,
        code=code,
        summary=_cut(said or kind.__name__, MAX_SUMMARY),
        details=_cut_middle(told.strip(), MAX_DETAILS),
        client_version=machine.client_version,
        system=machine.system,
        python=machine.python,
        occurred_at=now or datetime.now(UTC),
        fingerprint=fingerprint_of(step, code, _name_of(kind), _place_of(error)),
    )


def _code_of(error: BaseException) -> str:
    own = getattr(error, "code", None)
    if isinstance(own, str) and _CODE.fullmatch(own):
        return str(own)
    name = _NEXT_WORD.sub("_", type(error).__name__).lower()
    return name if _CODE.fullmatch(name) else "unnamed"


def _name_of(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _place_of(error: BaseException) -> str:
    """The innermost function of ours that the error came through; empty: none.

    Without its line, so that another release of the client has the same.
    """
    place = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(OURS):
            place = f"{module}:{trace.tb_frame.f_code.co_qualname}"
        trace = trace.tb_next
    return place


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _cut_middle(text: str, most: int) -> str:
    """The begin of a text and more of its end, where a traceback says what happened."""
    if len(text) <= most:
        return text
    left_out = "\n… (left out) …\n"
    begin = most // 4
    return f"{text[:begin]}{left_out}{text[len(text) - (most - begin - len(left_out)) :]}"


def _client_version() -> str:
    try:
        return version("specimen-refinery")
    except PackageNotFoundError:  # one file, packed without it
        return "unknown"


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:  # there is none
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody has that number, and no variable says it
        return ""
