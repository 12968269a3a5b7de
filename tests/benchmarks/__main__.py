"""Measures both sides of every claim about speed and prints one table.

Ends with code 1 only when a benchmark could not run: a busy machine is no fault.
"""

import argparse
import asyncio
import logging
import signal
import sys
import traceback

from rich.console import Console
from rich.table import Table

from tests.benchmarks.collection import Benchmarks, names
from tests.benchmarks.rows import Row

COLOURS = {"met": "green", "missed": "yellow"}


def main() -> int:
    """Parse, run, print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=names(), help="one of them, repeatable")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs at all")
    parser.add_argument("--size", type=int, help="specimens of chain, burst and road")
    given = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return asyncio.run(run(given.only or names(), quick=given.quick, size=given.size))


async def run(wanted: list[str], *, quick: bool, size: int | None = None) -> int:
    """Run those benchmarks; 1 when one of them could not run."""
    console = Console(stderr=not sys.stdout.isatty())
    if (mine := asyncio.current_task()) is not None:
        # Told to end it stops what it started, as on Ctrl-C.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, mine.cancel)
    measured: dict[str, list[Row]] = {}
    broken: list[str] = []
    async with Benchmarks(quick=quick, size=size) as benchmarks:
        for name in wanted:
            with console.status(f"measuring {name}"):
                try:
                    measured[name] = await benchmarks.rows(name)
                except Exception:  # noqa: BLE001  one that cannot run must not hide the others
                    broken.append(name)
                    console.print(f"[red]{name} could not run[/red]")
                    console.print(traceback.format_exc(), markup=False, highlight=False)
    Console(width=None if sys.stdout.isatty() else 150).print(table_of(measured, quick=quick))
    return 1 if broken else 0


def table_of(measured: dict[str, list[Row]], *, quick: bool) -> Table:
    """What, both sides, ratio, target and verdict; a section per benchmark."""
    title = "quick sizes: the figures mean nothing" if quick else "medians of both sides"
    table = Table(title=title)
    table.add_column("what", ratio=1)
    for name in ("ours", "theirs", "ratio", "target", "verdict"):
        table.add_column(name, justify="right")
    for name, rows in measured.items():
        table.add_section()
        if not rows:
            table.add_row(name, "", "", "", "", "not measured: what it needs is not installed")
        for row in rows:
            table.add_row(*cells(row), style="" if row.target is not None else "dim")
    return table


def cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """A row as text."""
    theirs = "" if row.theirs is None else f"{row.theirs:.3g} {row.unit}"
    # Against next to nothing a ratio says nothing.
    is_shown = row.theirs is not None and row.theirs > 0.01 * abs(row.ours)
    sign = "≥" if row.at_least else "≤"
    target = "" if row.target is None else f"{sign} {row.target:g}"
    verdict = row.verdict and f"[{COLOURS[row.verdict]}]{row.verdict}[/]"
    ratio = f"{row.judged:.2f}" if is_shown else ""
    return row.what, f"{row.ours:.3g} {row.unit}", theirs, ratio, target, verdict


if __name__ == "__main__":
    sys.exit(main())
