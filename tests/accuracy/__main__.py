"""Prints how many of the codes on the photographs at hand are read, and how many falsely.

FOLDER has them and a MANIFEST.csv; without one it is REFINERY_SPECIMENS, else a folder
`specimens` beside the project. It measures and judges nothing: the exit code is 0.
"""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.accuracy.photographs import MANIFEST, Read, photographs, read_all, recall

ROOT = Path(__file__).parents[2]
SHOWN = 26
"""Characters of a code in the table."""
NOWHERE = f"""No photographs at hand. Give a folder with photographs and a {MANIFEST} (columns file
and ground_truth_barcodes: codes with | between them, NONE, or UNKNOWN):
    make accuracy FOLDER=/path/to/specimens      or set REFINERY_SPECIMENS"""


def main() -> int:
    """Find the photographs, read them, print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument("folder", nargs="?", help="where the photographs are")
    given = parser.parse_args().folder or os.environ.get("REFINERY_SPECIMENS")
    folder = Path(given) if given else beside(ROOT)
    if folder is None or not (folder / MANIFEST).is_file():
        sys.stderr.write(f"{folder} has no {MANIFEST}.\n" if folder else "")
        sys.stderr.write(NOWHERE + "\n")
        return 0
    try:
        known = photographs(folder)
    except KeyError as error:
        sys.stderr.write(f"{folder / MANIFEST} has no column {error}.\n{NOWHERE}\n")
        return 0
    console = Console(stderr=True)
    reads = []
    with console.status("reading") as status:
        for read in read_all(known):
            reads.append(read)
            status.update(f"read {len(reads)} of {len(known)}")
    Console(width=None if sys.stdout.isatty() else 150).print(table_of(folder, reads))
    return 0


def beside(project: Path) -> Path | None:
    """The folder of photographs next to the project, or in a folder next to it."""
    near = [project.parent / "specimens", *sorted(project.parent.glob("*/specimens"))]
    return next((folder for folder in near if (folder / MANIFEST).is_file()), None)


def table_of(folder: Path, reads: list[Read]) -> Table:
    """A row per photograph; under it the sums."""
    found, there, false = recall(reads)
    share = f" ({found / there:.0%})" if there else ""
    table = Table(title=f"codes on the photographs in {folder}", show_footer=True)
    cpu_s = sum(read.cpu_s for read in reads)
    for name, foot in (
        ("photograph", f"recall {found} of {there}{share}, false {false}"),
        ("symbology", ""),
        *(("expected", str(there)), ("read", str(found)), ("missed", str(there - found))),
        ("false", str(false)),
        ("cpu s", f"{cpu_s:.1f}"),
    ):
        table.add_column(name, foot, justify="right" if name == "cpu s" else "left")
    for read in reads:
        known = read.photograph.codes
        table.add_row(
            read.photograph.path.name,
            read.photograph.symbology,
            "unknown" if known is None else listed(known),
            *(listed(codes) for codes in (read.codes, read.missed, read.false)),
            f"{read.cpu_s:.1f}",
        )
    return table


def listed(codes: frozenset[str]) -> str:
    """Codes below each other, what is not printed as an escape."""
    plain = (code if code.isprintable() else repr(code)[1:-1] for code in sorted(codes))
    cut = (text if len(text) <= SHOWN else text[: SHOWN - 1] + "…" for text in plain)
    return "\n".join(text.replace("[", r"\[") for text in cut) or "–"


if __name__ == "__main__":
    sys.exit(main())
