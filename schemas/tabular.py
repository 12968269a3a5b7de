"""Rows as CSV that spreadsheets read as they are meant."""

import csv
import io
from collections.abc import Iterable, Sequence

UTF8 = "\ufeff"
"""Before the first line: without it some spreadsheets take UTF-8 for something older."""

STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A whole file."""
    return csv_lines([head, *rows])


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as lines; None is an empty cell, and what would be a formula gets an apostrophe."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([harmless(c) for c in row] for row in rows)
    return out.getvalue()


def harmless(cell: object) -> object:
    """A cell that no spreadsheet computes; numbers stay what they are."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(STARTS) else cell
