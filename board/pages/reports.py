"""Reports of a session, a day or a month, to look at, to print and to take along."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import JSONResponse, Response

from board.context import Board, Here
from board.visitors import Reader
from schemas.tabular import csv_text
from track.reports import days
from track.reports.period import NoSuchPeriod, PeriodReport, read_report, report_lines

router = APIRouter()

What = Annotated[str, Query(max_length=100)]


@router.get("/reports")
async def reports(request: Request, here: Here, visitor: Reader, what: What = "") -> Response:
    """The page; today's report without a question."""
    day = days.today()
    fault, report = "", None
    try:
        report = await here.read(read_report, what.strip() or day.isoformat())
    except (ValueError, NoSuchPeriod) as error:
        fault = str(error)
    found = {"what": what, "fault": fault, "report": report, "offers": _offers(day)}
    status = 422 if fault else 200
    return here.page(request, "reports.html", visitor, status, title="Reports", **found)


@router.get("/reports.csv")
async def reports_csv(here: Here, visitor: Reader, what: What) -> Response:
    """A report as CSV."""
    report = await _asked(here, what)
    rows = ((each.figure, each.pipeline, each.stage, each.value) for each in report_lines(report))
    text = csv_text(("figure", "pipeline", "stage", "value"), rows)
    return Response(text, media_type="text/csv", headers=_as_file(report, "csv"))


@router.get("/reports.json")
async def reports_json(here: Here, visitor: Reader, what: What) -> Response:
    """A report as JSON: a list of figures."""
    report = await _asked(here, what)
    lines = [asdict(each) for each in report_lines(report)]
    return JSONResponse(lines, headers=_as_file(report, "json"))


async def _asked(here: Board, what: str) -> PeriodReport:
    try:
        return await here.read(read_report, what.strip())
    except NoSuchPeriod as error:
        raise HTTPException(404, str(error)) from error
    except ValueError as error:
        raise HTTPException(422, f"what: {error}") from error


def _as_file(report: PeriodReport, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="report-{report.name}.{ending}"'}


def _offers(day: date) -> list[tuple[str, str]]:
    """What is asked for most, and how it is said."""
    last_month = day.replace(day=1) - timedelta(days=1)
    return [
        (day.isoformat(), "today"),
        ((day - timedelta(days=1)).isoformat(), "yesterday"),
        (day.isoformat()[:7], "this month"),
        (last_month.isoformat()[:7], "last month"),
    ]
