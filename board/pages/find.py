"""Find: one box that understands what is typed, and fields for who knows more."""

from collections.abc import AsyncIterator
from dataclasses import asdict

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from board.context import PATIENCE_S, Here
from board.rendering import quoted, with_query
from board.visitors import Reader
from schemas.specimen_query import ORDERS, STATES, QueryError, SpecimenQuery, read_query
from schemas.tabular import UTF8, csv_lines
from track.reports.find import (
    MAX_COUNT,
    FindPage,
    FoundPlace,
    FoundSpecimen,
    find,
    find_all,
    guid_named,
)
from track.schema.database import reading

router = APIRouter()

VIEWS = ("thumbnails", "table")
CSV_FIELDS = (
    "guid", "state", "stage", "reason", "barcodes", "collection", "digitiser", "workstation",
    "pipeline", "session_id", "file_name", "at", "taken_at", "finalised_at",
)  # fmt: skip


@router.get("/find")
async def find_page(request: Request, here: Here, visitor: Reader) -> Response:
    """The form, and a page of what fits."""
    given = dict(request.query_params)
    view = given.get("view") if given.get("view") in VIEWS else VIEWS[0]
    query, after, faults = _read(given)
    if not faults and query.q and set(given) == {"q"}:
        guid = await here.read(guid_named, query.q)
        if guid is not None:
            return RedirectResponse(f"/specimens/{quoted(guid)}", 303)
    found: FindPage | None = None
    if not faults:
        found = await here.read(find, query, after)
    kept = query.given | ({"view": view} if view != VIEWS[0] else {})
    return here.page(
        request,
        "find.html",
        visitor,
        422 if faults else 200,
        title="Find",
        asked=query,
        typed=given,
        faults=faults,
        found=found,
        view=view,
        kept=kept,
        states=STATES,
        orders=ORDERS,
        most=MAX_COUNT,
        detailed=bool(query.given.keys() - {"q", "order"}) or bool(faults.keys() - {"q"}),
        more=with_query("/find", kept, after=str(found.following))
        if found and found.following
        else "",
        first=with_query("/find", kept) if after else "",
    )


@router.get("/find.csv")
async def find_csv(request: Request, here: Here, visitor: Reader) -> Response:
    """All that fits, as a spreadsheet reads it; sent as it is found."""
    query = _needed(request)
    headers = {"Content-Disposition": 'attachment; filename="specimens.csv"'}
    rows = find_all(lambda: reading(here.engine, PATIENCE_S), query)
    return StreamingResponse(written(rows), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/find.json")
async def find_json(request: Request, here: Here, visitor: Reader) -> Response:
    """A page of what fits; `following` is what to send as `after` for the next."""
    query, after, faults = _read(dict(request.query_params))
    if faults:
        return JSONResponse({"error": faults}, 422)
    page = await here.read(find, query, after)
    return JSONResponse(
        {
            "number": page.number,
            "more_than": MAX_COUNT if page.number is None else None,
            "following": str(page.following) if page.following else None,
            "complete": page.complete,
            "specimens": [plain_specimen(each) for each in page.specimens],
        }
    )


async def written(rows: AsyncIterator[FoundSpecimen]) -> AsyncIterator[str]:
    """A header and a line for each."""
    yield UTF8 + csv_lines([CSV_FIELDS])
    async for each in rows:
        yield csv_lines([csv_row(each)])


def csv_row(each: FoundSpecimen) -> list[object]:
    """A specimen's cells, in the order of CSV_FIELDS."""
    fields = plain_specimen(each) | {"barcodes": "; ".join(each.barcodes)}
    return [fields[name] for name in CSV_FIELDS]


def plain_specimen(each: FoundSpecimen) -> dict[str, object]:
    """A specimen's fields as JSON holds them."""
    moments = ("at", "taken_at", "finalised_at")
    fields = asdict(each) | {"session_id": str(each.session_id), "barcodes": list(each.barcodes)}
    return fields | {name: fields[name] and fields[name].isoformat() for name in moments}


def _read(given: dict[str, str]) -> tuple[SpecimenQuery, FoundPlace | None, dict[str, str]]:
    """The query, where its page begins, and by field what is wrong."""
    faults: dict[str, str] = {}
    query, after = SpecimenQuery(), None
    try:
        query = read_query(given)
    except QueryError as error:
        faults |= error.faults
    try:
        after = FoundPlace.read(given.get("after", ""))
    except ValueError:
        faults["after"] = "is no place in the list: begin anew without it"
    return query, after, faults


def _needed(request: Request) -> SpecimenQuery:
    try:
        return read_query(request.query_params)
    except QueryError as error:
        raise HTTPException(422, str(error)) from error
