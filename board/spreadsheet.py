"""Tables as CSV that a spreadsheet opens without harm."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is computed by spreadsheets, whoever wrote it; a leading quote stops it."""


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as lines of CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(content: object) -> str:
    text = "" if content is None else str(content)
    return f"'{text}" if text.startswith(FORMULA) else text
