"""Lines of our logs: what each is about stands in it under the same names, as text or as JSON.

Who works on a specimen says so once for its task; every line written meanwhile, wherever, then
names it, so that one search for a guid tells its life.
"""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

LogFormat = Literal["text", "json"]

FIELDS = ("guid", "session", "stage", "attempt", "site")
"""What a line may be about, in the order in which it is said."""

_ABOUT: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


def say_about(**about: object) -> None:
    """From here to the end of this task, its lines are about this: any of `FIELDS`."""
    _ABOUT.set({**_ABOUT.get(), **about})


@contextmanager
def lines_about(**about: object) -> Iterator[None]:
    """The same within a block only."""
    token = _ABOUT.set({**_ABOUT.get(), **about})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def about(record: logging.LogRecord) -> dict[str, object]:
    """What a line is about: what it was given as `extra` before what its task works on."""
    given = {**_ABOUT.get(), **record.__dict__}
    return {name: given[name] for name in FIELDS if given.get(name) not in (None, "")}


class TextLines(logging.Formatter):
    """One line for people: time, level, logger, message, and at its end what it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The first line; a traceback follows it."""
        found = about(record)
        return " ".join([super().formatMessage(record), *(f"{k}={v}" for k, v in found.items())])


class JsonLines(logging.Formatter):
    """One JSON object a line: time (ISO, with its offset), level, logger, message, and `FIELDS`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is its `exception`."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, object] = {
            "time": at,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: _plain(value) for name, value in about(record).items()},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def formatter(form: LogFormat) -> logging.Formatter:
    """What writes lines in this form."""
    return JsonLines() if form == "json" else TextLines()


def write_lines(form: LogFormat, names: Iterable[str] = ("",)) -> None:
    """Have these loggers and all below them write to stderr; done again it changes the form.

    The empty name is the root. Any other writes its lines itself and passes none on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form))
    for name in names:
        log = logging.getLogger(name)
        log.handlers = [handler]
        log.setLevel(logging.INFO)
        log.propagate = not name


def readable(line: str) -> str:
    """A line of a log as a person reads it: one of JSON as its text, any other as it is."""
    if not line.startswith('{"time"'):
        return line
    try:
        found = json.loads(line)
        head = f"{found['time']} {found['level']} {found['logger']} {found['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    fields = [f"{name}={found[name]}" for name in FIELDS if name in found]
    return " ".join([head, *fields]) + (f"\n{found['exception']}" if "exception" in found else "")
