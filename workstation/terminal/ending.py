"""How a use of `refinery ingest` ends: its exit code, what is said, and what is told."""

import sys
from collections.abc import Callable, Iterable

import typer

from schemas.problems import ProblemStep
from workstation.ingest.report import IngestReport, IngestResult
from workstation.journal.folder_lock import FolderInUse
from workstation.places import Places
from workstation.problems import WorkstationError
from workstation.server.errors import BadServerAddress, LoginNeeded, ServerProblem
from workstation.server.outbox import Outbox
from workstation.server.problem_report import Machine
from workstation.server.telling import ProblemTelling
from workstation.session.planning import WrongChoices
from workstation.terminal.asking import NothingAnswered
from workstation.terminal.terminal import FolderNotReady
from workstation.watching import IngestStopped

DONE, PROBLEMS, USAGE, COME_BACK = 0, 1, 2, 75
"""75 is what mail programs call a temporary failure: run the same again later."""

_CODES = {
    IngestResult.DONE: DONE,
    IngestResult.WAITS_FOR_ARCHIVE: DONE,
    IngestResult.PROBLEMS: PROBLEMS,
    IngestResult.COME_BACK: COME_BACK,
}


def exit_code(work: Callable[[], Iterable[IngestReport]], places: Places) -> int:
    """Do it, say in a line what ended it early, and keep what the server's people should know."""
    for stream in (sys.stdout, sys.stderr):
        # A console may lack a letter of a name; that must not end an upload.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        codes = [_CODES[report.result] for report in work()]
    except (NothingAnswered, WrongChoices, BadServerAddress) as error:
        return _said(error, USAGE)
    except (FolderNotReady, FolderInUse, LoginNeeded) as error:
        return _said(error, PROBLEMS)
    except ServerProblem as error:
        if error.may_retry:
            return _said(error, COME_BACK)
        _keep(error, "login", places)
        return _said(error, PROBLEMS)
    except WorkstationError as error:
        _keep(error, "other", places)
        return _said(error, PROBLEMS)
    except (IngestStopped, KeyboardInterrupt):
        text = "stopped; run the same command again: it goes on where it was"
        return _said(IngestStopped(text), COME_BACK)
    except Exception as error:
        _keep(error, "other", places)
        raise
    return next((code for code in (PROBLEMS, COME_BACK) if code in codes), DONE)


def _said(error: Exception, code: int) -> int:
    typer.secho(str(error), err=True, fg=typer.colors.RED)
    return code


def _keep(error: Exception, step: ProblemStep, places: Places) -> None:
    ProblemTelling(Outbox(places.outbox), Machine.this()).keep(error, step, workstation="")
