"""Questions at a terminal, with what was answered last, and choices by number or by name."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from schemas.yaml_lines import nearest

TRIES = 5


class NothingAnswered(Exception):
    """A question has no answer: there is nobody to ask, or nothing that fits was typed."""


def plain(text: str) -> str:
    """What was typed, as it is kept: without spaces around it, accents with their letters."""
    return unicodedata.normalize("NFC", text).strip()


class Asker:
    """Asks a person; `read` shows a prompt and returns a line, `say` shows one.

    Every question raises NothingAnswered when `read` has nothing more, or for the fifth time
    something that does not fit.
    """

    def __init__(self, read: Callable[[str], str], say: Callable[[str], object]) -> None:
        self._read, self._say = read, say

    def choice(self, question: str, offered: Sequence[str], last: str = "") -> str:
        """One of what is offered; the only one there is is not asked for."""
        if not offered:
            raise NothingAnswered(f"{question}: the server offers nothing to choose from")
        if len(offered) == 1:
            self._say(f"{question}: {offered[0]}")
            return offered[0]
        for number, name in enumerate(offered, 1):
            self._say(f"  {number}. {name}")
        default = last if last in offered else ""
        for _ in range(TRIES):
            typed = self._line(question, default)
            found = _chosen(typed, offered)
            if found is not None:
                return found
            near = nearest(typed, offered)
            hint = f"; is {near} meant?" if near else ""
            self._say(f"'{typed}' is not offered{hint}. Type a number or a name of the list.")
        raise NothingAnswered(f"{question}: none of what is offered was chosen")

    def text(self, question: str, last: str = "", suggested: Iterable[str] = ()) -> str:
        """Any text but none; `suggested` are shown, and may be chosen by their numbers."""
        names = tuple(suggested)
        for number, name in enumerate(names, 1):
            self._say(f"  {number}. {name}")
        for _ in range(TRIES):
            if typed := self._line(question, last):
                return _chosen(typed, names) or typed
            self._say("Something has to be written here.")
        raise NothingAnswered(f"{question}: nothing was written")

    def texts(self, question: str, last: Sequence[str] = ()) -> tuple[str, ...]:
        """Texts divided by commas; a minus sign: none of them."""
        typed = self._line(f"{question} (by commas, - for none)", ", ".join(last))
        return () if typed == "-" else tuple(filter(None, map(plain, typed.split(","))))

    def yes(self, question: str) -> bool:
        """Whether a person says yes; anything else is no."""
        return self._line(f"{question} [y/N]", "").casefold() in ("y", "yes", "j", "ja")

    def _line(self, question: str, default: str) -> str:
        shown = f"{question} [{default}]: " if default else f"{question}: "
        try:
            return plain(self._read(shown)) or default
        except EOFError:
            raise NothingAnswered(f"{question}: there is nobody to ask") from None


def _chosen(typed: str, offered: Sequence[str]) -> str | None:
    """What was meant: by its number, or its name in any case."""
    if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(offered):
        return offered[int(typed) - 1]
    return next((name for name in offered if name.casefold() == typed.casefold()), None)
