"""The runner's command line, which is read without a parser where a driver wrote it."""

from pathlib import Path
from typing import NamedTuple

EXIT_CODES = """\
exit codes:
  0    every line ended: its outcome is delivered or kept in results/, or it was not granted
  65   the batch folder cannot be read; stderr names file, line and field
  74   an outcome could be neither delivered nor kept
  75   the server could not be reached for a start (also: others answered in its stead);
       nothing was touched
  77   the server itself refused a start; nothing was touched
  78   --check: a library is missing
  128+N  ended by signal N; nobody else reports the line at work, later lines were not begun
"""


class Arguments(NamedTuple):
    """What is to be run; with `check` nothing is, and there need be no batch."""

    batch: Path
    lines: str
    native_id: str | None = None
    patience: float = 300.0
    threads: int | None = None
    check: bool = False


def parse(argv: list[str]) -> Arguments:
    """The arguments. Raises SystemExit, having said why or shown the manual."""
    match argv:
        case ["--batch", batch, "--index", lines, "--native-id", native_id] if not any(
            value.startswith("-") for value in (batch, lines, native_id)
        ):
            return Arguments(Path(batch), lines, native_id)
    return _parsed(argv)


def _parsed(argv: list[str]) -> Arguments:
    """As `parse`, for any command line; its --help is the runner's manual."""
    import argparse  # a tenth of what a job that does nothing costs

    parser = argparse.ArgumentParser(
        prog="runner.pyz",
        description="Run lines of a batch, each with the server's grant, one after another.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batch", type=Path, metavar="DIR", help="the batch folder")
    parser.add_argument(
        "--index", dest="lines", metavar="I[-J][,K]", help="lines of manifest.jsonl, from 0"
    )
    parser.add_argument(
        "--native-id", metavar="ID", help="this job's name here (default: the scheduler's)"
    )
    parser.add_argument(
        "--patience", type=float, default=300.0, metavar="S", help="seconds to keep trying (300)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: what the job was given")
    parser.add_argument(
        "--check", action="store_true", help="say as JSON which modules this Python can run"
    )
    given = parser.parse_args(argv)
    if not given.check and (given.batch is None or given.lines is None):
        parser.error("--batch and --index are both needed (or --check)")
    return Arguments(**vars(given))
