"""Every benchmark runs in its smallest form. Figures are never asserted: they are the machine's."""

from math import isfinite

import pytest

from tests.benchmarks.__main__ import table_of
from tests.benchmarks.collection import Benchmarks, names


@pytest.mark.timeout(900)  # a minute of both processors, however many share them
async def test_every_benchmark_runs_and_returns_rows() -> None:
    measured = {}
    async with Benchmarks(quick=True) as benchmarks:
        for name in names():
            measured[name] = await benchmarks.rows(name)
    for name, rows in measured.items():
        assert rows, name
        assert all(isfinite(row.ours) and row.what for row in rows), name
    assert table_of(measured, quick=True).row_count == sum(len(rows) for rows in measured.values())
