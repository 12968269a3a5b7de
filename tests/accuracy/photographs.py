"""Photographs at hand and what is known to be on them, and what the barcode module reads there.

Their folder has a MANIFEST.csv: `file`, and `ground_truth_barcodes` with `|` between codes, NONE
where there is none, UNKNOWN where nobody knows.
"""

import csv
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpc.runner.modules import barcode
from tests.support.jobs_on_disk import job_on_disk

MANIFEST = "MANIFEST.csv"


@dataclass(frozen=True)
class Photograph:
    """A photograph; `codes` None: nobody knows what is on it. `symbology` is the manifest's."""

    path: Path
    codes: frozenset[str] | None
    symbology: str = ""


@dataclass(frozen=True)
class Read:
    """What was read of a photograph, in which seconds of processor time."""

    photograph: Photograph
    codes: frozenset[str]
    cpu_s: float

    @property
    def missed(self) -> frozenset[str]:
        return (self.photograph.codes or frozenset()) - self.codes

    @property
    def false(self) -> frozenset[str]:
        """Codes that are not there. Of a photograph nobody knows, none can be told."""
        known = self.photograph.codes
        return frozenset() if known is None else self.codes - known

    def faults(self) -> list[str]:
        """What is wrong with it, a line each."""
        told = (("missed", self.missed), ("made up", self.false))
        return [
            f"{self.photograph.path.name}: {what} {sorted(codes)}" for what, codes in told if codes
        ]


def photographs(folder: Path) -> list[Photograph]:
    """Those of a manifest that are there, in its order. Raises KeyError for a missing column."""
    with (folder / MANIFEST).open(encoding="utf-8-sig", newline="") as table:
        rows = list(csv.DictReader(table))
    return [
        Photograph(
            folder / row["file"],
            _codes(row["ground_truth_barcodes"]),
            row.get("symbology") or "",
        )
        for row in rows
        if (folder / row["file"]).is_file()
    ]


def _codes(written: str) -> frozenset[str] | None:
    if written == "UNKNOWN":
        return None
    return frozenset(written.split("|")) - {"NONE", ""}


def read_all(known: list[Photograph]) -> Iterator[Read]:
    """Every code of each as the module reads it, whatever the code stands for."""
    for photograph in known:
        with tempfile.TemporaryDirectory() as folder:
            source = photograph.path
            job = job_on_disk(
                Path(folder), source.name, lambda path, s=source: shutil.copy(s, path)
            )
            began = time.process_time()
            found = barcode.run(job)["barcode"] or {}
            taken = time.process_time() - began
        yield Read(photograph, frozenset(code["text"] for code in found["codes"]), taken)


def recall(reads: list[Read]) -> tuple[int, int, int]:
    """Of all photographs: codes read that are there, codes that are there, codes read falsely."""
    there = sum(len(read.photograph.codes or ()) for read in reads)
    missed = sum(len(read.missed) for read in reads)
    return there - missed, there, sum(len(read.false) for read in reads)
