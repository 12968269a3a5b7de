"""The report of a session, a day or a month at a terminal, as a table, JSON or CSV."""

import asyncio
import json
from dataclasses import asdict
from typing import Literal

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table

from refinery import connections
from refinery.addresses import of_running
from refinery.settings import Settings
from schemas.tabular import csv_text
from track.reports.by_hour import Measured
from track.reports.period import NoSuchPeriod, PeriodReport, read_report, report_lines
from track.schema.database import transact

Format = Literal["table", "json", "csv"]


def show(settings: Settings, what: str, form: Format) -> None:
    """Print it. Raises NotRunning, and ValueError for what is no session, day or month."""
    found = written(asyncio.run(ask(of_running(settings).database, what)), form)
    if isinstance(found, str):
        typer.echo(found)
    else:
        Console(highlight=False).print(found)


STAGE_WIDTH = 24
"""Columns of a terminal that a stage's name may take before it is folded."""


async def ask(database_url: str, what: str) -> PeriodReport:
    """The report. Raises ValueError, saying what may be asked for."""
    async with connections.database(database_url, pool=1) as engine:
        try:
            return await transact(engine, read_report, what)
        except NoSuchPeriod as error:
            raise ValueError(str(error)) from error


def written(report: PeriodReport, form: Format) -> RenderableType:
    """A report in one of the formats; a text but for the table."""
    lines = report_lines(report)
    if form == "json":
        return json.dumps([asdict(line) for line in lines], indent=2, ensure_ascii=False)
    if form == "csv":
        head = ("figure", "pipeline", "stage", "value")
        rows = ((each.figure, each.pipeline, each.stage, each.value) for each in lines)
        return csv_text(head, rows).rstrip("\n")
    figures = Table("", "", title=f"{report.name}: {report.about}", show_header=False)
    for line in lines:
        if not line.stage and line.figure != "report":
            figures.add_row(line.figure, str(line.value))
    return Group(figures, _stages(report)) if report.stages else figures


def _stages(report: PeriodReport) -> Table:
    stages = Table(box=None, pad_edge=False)
    stages.add_column("stage", overflow="fold", min_width=STAGE_WIDTH)
    for name in ("attempts", "seconds", "processor s", "memory MB", "queued s"):
        stages.add_column(name)
    stages.caption = "mean (least to most)"
    for each in report.stages:
        measures = (each.seconds, each.cpu_s, each.mb, each.wait_s)
        name = f"{each.pipeline}/{each.stage}"
        stages.add_row(name, str(each.seconds.n), *map(_words, measures))
    return stages


def _words(of: Measured) -> str:
    if of.mean is None:
        return "–"
    return f"{of.mean:.1f} ({of.least:.1f} to {of.most:.1f})"
