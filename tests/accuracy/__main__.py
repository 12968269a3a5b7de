"""Reads all there is to read and says how well: photographs, Danish letters, random sheets.

With FOLDER only the photographs in it, which has a MANIFEST.csv; without one, those in
REFINERY_SPECIMENS or in a folder `specimens` beside the project, if there are any. The exit code
is 1 when anything is read less well than it has to be: what that was is said at the end.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.accuracy import letters, sheets
from tests.accuracy.photographs import MANIFEST, Read, photographs, read_all, recall

ROOT = Path(__file__).parents[2]
SHOWN = 26
"""Characters of a code in the table."""
NOWHERE = f"""No photographs at hand. Give a folder with photographs and a {MANIFEST} (columns file
and ground_truth_barcodes: codes with | between them, NONE, or UNKNOWN):
    make accuracy FOLDER=/path/to/specimens      or set REFINERY_SPECIMENS"""


def main() -> int:
    """Read, print, judge; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument("folder", nargs="?", help="where the photographs are")
    given = parser.parse_args().folder
    at_hand = given or os.environ.get("REFINERY_SPECIMENS")
    console = Console(width=None if sys.stdout.isatty() else 150)
    faults = of_photographs(Path(at_hand) if at_hand else beside(ROOT), console)
    if not given:
        faults += of_letters(console) + of_sheets(console)
    for fault in faults:
        sys.stderr.write(f"not read as it has to be: {fault}\n")
    return 1 if faults else 0


def of_photographs(folder: Path | None, console: Console) -> list[str]:
    """What of the codes on photographs is missed or made up; nothing where there are none."""
    if folder is None or not (folder / MANIFEST).is_file():
        sys.stderr.write(f"{folder} has no {MANIFEST}.\n" if folder else "")
        sys.stderr.write(NOWHERE + "\n")
        return []
    try:
        known = photographs(folder)
    except KeyError as error:
        sys.stderr.write(f"{folder / MANIFEST} has no column {error}.\n{NOWHERE}\n")
        return []
    reads = []
    with Console(stderr=True).status("reading") as status:
        for read in read_all(known):
            reads.append(read)
            status.update(f"read {len(reads)} of {len(known)}")
    console.print(table_of(folder, reads))
    return [fault for read in reads for fault in read.faults()]


def of_letters(console: Console) -> list[str]:
    """What of the Danish letters is not kept."""
    shipped = letters.danish()
    faces = {name: letters.ligatures(name) for name in letters.TYPEFACES}
    ligatures = letters.together([each for each in faces.values() if each is not None])
    table = Table(title="Danish letters kept")
    for name in ("letter", "print", "kept"):
        table.add_column(name)
    for letter, share in shipped.shares.items():
        table.add_row(letter, "the project's own", f"{share:.0%}")
    for name, each in faces.items():
        table.add_row(
            "Æ", name, "not on this machine" if each is None else f"{each.shares['Æ']:.0%}"
        )
    console.print(table)
    return [*shipped.faults(), *ligatures.faults()]


def of_sheets(console: Console) -> list[str]:
    """What of the random sheets is not read right; it takes some minutes."""
    with tempfile.TemporaryDirectory() as folder:
        rows = sheets.read_sheets(sheets.SHEETS, Path(folder))
    console.print("\n".join(sheets.table(rows)), highlight=False)
    return sheets.faults(rows)


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
