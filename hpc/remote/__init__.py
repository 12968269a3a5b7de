"""What we say to a login node: small POSIX shell scripts, sent with each command.

Nothing has to be installed over there and no version can differ. Every line of an answer
carries a mark drawn for that call, so that banners and start-up files are told from it,
and the last line says `end`: an answer without it was cut.
"""

import secrets
import shlex
from importlib.resources import files

from hpc.scheduler.refusals import lost_words
from hpc.wire.base import Answer


class Garbled(Exception):
    """The answer is cut or is not one of ours; what was done over there is not known."""


def new_mark() -> str:
    """A mark that no banner has."""
    return f"refinery-{secrets.token_hex(8)}"


def command(script: str, mark: str, *words: str, prelude: str = "") -> str:
    """The shell command that runs `<script>.sh` over there with these words.

    `prelude` is shell text run before, its output thrown away.
    """
    before = f"{{ {prelude}\n}} >/dev/null 2>&1 </dev/null\n" if prelude.strip() else ""
    known = f"lost_words={shlex.quote(lost_words())}\n"
    text = before + known + _text("frame") + _text(script)
    return f"exec /bin/sh -c {shlex.quote(text)} {script} {shlex.join((mark, *words))}"


def read_lines(answer: Answer, mark: str) -> list[tuple[str, str]]:
    """The lines of an answer as (kind, text). Raises Garbled."""
    lines: list[tuple[str, str]] = []
    for line in answer.stdout.decode(errors="replace").split("\n"):
        if line.startswith(f"{mark} "):
            kind, _, text = line[len(mark) + 1 :].partition(" ")
            lines.append((kind, text))
    if not lines or lines[-1][0] != "end":
        said = answer.stderr.decode(errors="replace").strip()[-500:]
        raise Garbled(f"no whole answer (exit code {answer.exit_code}): {said or 'nothing said'}")
    return lines[:-1]


def _text(script: str) -> str:
    return files(__name__).joinpath(f"{script}.sh").read_text()
