"""Small POSIX shell scripts that are sent to a login node with each command.

Nothing has to be installed over there and no version can differ. Every line of an answer
carries a mark drawn for that call, which no banner or start-up file prints,
and the last line is `end`: an answer without it was cut.

A server hands a command to the account's login shell, whichever that is. So the command is
always the same line but for the mark, one that all shells read alike, and the script is the
first line of its stdin, which a POSIX shell reads and never a byte further: what follows is
the script's.

What each script answers, a line's kind and its text, and who reads it (`hpc.sites.slurm.cluster`,
but for the outputs). Every script but `run` may also print `trouble TEXT`: the site's own fault. A
kind with `+` is a program that was run: its output, `@CODE` at last, and its complaints under
`KIND-complaint`.

    hello    clock SECONDS, user NAME, runner NAME, free_kb KB, tool NAME,
             config+, history+                                           Cluster.hello
    send     id KEY ID, double KEY ID, busy KEY, absent KEY, unreadable KEY WHY,
             out LINE and err LINE of what follows: failed KEY CODE      Cluster.send
    watch    queue+, history+, ended KEY ID CODE, result KEY/NAME JSON, more,
             started ATTEMPT JSON                                        Cluster.poll
    take     taken ATTEMPT, started ATTEMPT JSON                         Cluster.take
    taken    nothing                                                     Cluster.taken
    printed  printed KEY LINE TEXT                                       Cluster.printed
    sizes    size BYTES GUID/NAME                                        Cluster.sizes
    place    nothing                                                     Cluster.place
    wheels   nothing                                                     Cluster.place_wheels
    outputs  begin, then a tar to the end of the answer                  RemoteSource.fetch
    script   busy, unknown, code CODE, out LINE, err LINE                Cluster.script
    run      line+                                                       Cluster.run
    tidy     removed FOLDER                                              Cluster.tidy
    scratch  old GUID                                                    Cluster.old_scratch
    remove   gone GUID                                                   Cluster.remove
"""

import itertools
import secrets
import shlex
from importlib.resources import files

from hpc.scheduler.refusals import lost_answer_pattern
from hpc.scheduler.text import prelude_lines
from hpc.transport.channel import CommandAnswer, Sink, Stdin
from hpc.transport.ssh import SshLink

_COMMAND = (
    "exec /bin/sh -c 'IFS= read -r line && case $line in"
    ' ": {mark};"*) eval "$line";;'
    ' *) echo "start-up files took the line that was for our script" >&2; exit 1;;'
    " esac'"
)
"""For sh, bash, dash, zsh, ksh, fish, csh and tcsh: no backslash (fish), no exclamation mark
and no line's end (csh) within the quotes, and no long word (csh takes 1,024 characters). Only
a line with the call's mark is run: what follows it is data, whoever may have read it away."""


class TruncatedAnswer(Exception):
    """The answer is cut or is not one of ours; what was done over there is not known."""


def new_mark() -> str:
    """A mark that no banner has."""
    return f"refinery-{secrets.token_hex(8)}"


async def run_script(
    wire: SshLink,
    script: str,
    mark: str,
    *words: str,
    prelude: str = "",
    stdin: Stdin = b"",
    deadline_s: float = 60.0,
    sink: Sink | None = None,
) -> CommandAnswer:
    """Run `<script>.sh` over there with these words, after the site's prelude.

    Raises WireError; see `SshLink.run` for the deadline and the sink.
    """
    first = program(script, mark, *words, prelude=prelude)
    given = first + stdin if isinstance(stdin, bytes) else itertools.chain((first,), stdin)
    return await wire.run(command(mark), given, deadline_s=deadline_s, sink=sink)


def command(mark: str) -> str:
    """What any login shell is given to run: it runs the first line of stdin."""
    return _COMMAND.format(mark=mark)


def program(script: str, mark: str, *words: str, prelude: str = "") -> bytes:
    """A script and its words as the one line that `command` runs.

    The line is a command by itself, so that start-up files which put another POSIX shell in
    the place of the command run it as well.
    """
    given = f"set -- {shlex.join((mark, *words))}\n"
    known = f"lost_words={shlex.quote(lost_answer_pattern())}\n"
    text = prelude_lines(prelude) + given + known + _text("frame") + _text(script)
    return f": {mark}; eval \"$(printf %b '{_escaped(text)}')\"\n".encode("ascii")


def _escaped(text: str) -> str:
    """As `printf %b` reads it: a backslash, a quote and what is not printable ASCII in octal."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\0{byte:03o}"
        for byte in text.encode()
    )


def read_lines(answer: CommandAnswer, mark: str) -> list[tuple[str, str]]:
    """The lines of an answer as (kind, text). Raises TruncatedAnswer."""
    lines: list[tuple[str, str]] = []
    for line in answer.stdout.decode(errors="replace").split("\n"):
        if line.startswith(f"{mark} "):
            kind, _, text = line[len(mark) + 1 :].partition(" ")
            lines.append((kind, text))
    if not lines or lines[-1][0] != "end":
        # A shell that refuses logins says so on stdout.
        text = (answer.stderr.strip() or answer.stdout.strip()).decode(errors="replace")[-500:]
        raise TruncatedAnswer(
            f"no whole answer (exit code {answer.exit_code}): {text or 'nothing said'}"
        )
    return lines[:-1]


def _text(script: str) -> str:
    return files(__name__).joinpath(f"{script}.sh").read_text()
