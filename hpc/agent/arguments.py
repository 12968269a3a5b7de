"""The agent's command line and its manual."""

import argparse
import os
from pathlib import Path
from typing import List

from hpc.agent.config import SCHEDULERS

EXIT_CODES = """\
exit codes:
  0    told to end, or --once is done, or another agent runs in this folder already
  2    the command line cannot be read
  69   the server does not answer; nothing is lost, say the same again
  74   the journal cannot be read or written: without it nothing may be started
  77   the server does not take the token: let this machine join (again)
  78   agent.json, or what was given to join or to prepare, cannot be used

`join` reads the join token from --token-file, else from REFINERY_JOIN_TOKEN, else from stdin;
never from the command line, which others can read.
"""


def parse(argv: List[str]) -> argparse.Namespace:
    """The arguments. Raises SystemExit, having said why or shown the manual."""
    parser = argparse.ArgumentParser(
        prog="refinery-agent",
        description="Take work of a site at a refinery that cannot reach it, and report.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="join|prepare|run")
    _add_join(commands.add_parser("join", help="become an agent of a site"))
    _add_prepare(commands.add_parser("prepare", help="have a Python that runs the modules"))
    _add_run(commands.add_parser("run", help="take work, until told to end"))
    given = parser.parse_args(argv)
    if given.command is None:
        parser.error("say join, prepare or run")
    return given


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home",
        type=Path,
        default=Path.home() / ".refinery-agent",
        metavar="DIR",
        help="agent.json, the token and the journal (~/.refinery-agent)",
    )


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    _add_home(parser)
    add = parser.add_argument
    add("--base", default="python3", metavar="P", help="what the venv is made with: 3.11 or newer")
    add("--wheelhouse", type=Path, metavar="DIR", help="wheels, where pip has no way to an index")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_home(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="make one whole turn and end, for cron")
    how.add_argument("--dry-run", action="store_true", help="say what a turn would do, do nothing")
    how.add_argument("--status", action="store_true", help="say what is held, in words")


def _add_join(parser: argparse.ArgumentParser) -> None:
    _add_home(parser)
    add = parser.add_argument
    add("--server", required=True, metavar="URL", help="the refinery's address for clusters")
    add("--site", required=True, metavar="NAME", help="the site whose work it is")
    add("--root", required=True, metavar="DIR", help="where batches and files are to lie")
    add("--name", default=os.uname().nodename, help="what to call this agent (the host's name)")
    add("--python", default="python3", metavar="P", help="what runs the runner: 3.11 or newer")
    add("--process", type=int, metavar="N", help="units for processes of this machine")
    add("--scheduler", choices=SCHEDULERS, help="the scheduler to submit to")
    add("--slots", type=int, metavar="N", help="units for jobs of the scheduler")
    add("--label", action="append", default=[], help="what this machine has, such as gpu")
    add("--queue", help="the scheduler's queue")
    add("--account", help="the scheduler's account")
    add("--throttle", type=int, metavar="N", help="the most tasks of one array at a time")
    add("--prelude", default="", metavar="SH", help="shell text to run before each job")
    add("--ca", metavar="FILE", help="certificates to trust beside those of the system")
    add("--insecure-http", action="store_true", help="allow http://, which shows the token")
    add("--token-file", type=Path, metavar="FILE", help="where the join token lies")
    add("--again", action="store_true", help="join anew, though it has joined before")
