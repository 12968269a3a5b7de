"""Today: what came, is under way, was archived and waits for a person, and how all parts do."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from board.charts import day_chart
from board.context import Board, Here
from board.disks import disk_space
from board.live import live_fragment
from board.visitors import Reader
from track.reports.today import read_today

router = APIRouter()

KINDS = ("failed", "quarantined", "attention", "cancelled")
"""Why images wait for a person, in the order in which they are shown."""


@router.get("/today")
async def today(request: Request, here: Here, visitor: Reader) -> Response:
    """The page."""
    return here.page(request, "today.html", visitor, title="Today", **await read_part(here, {}))


async def read_part(here: Board, _: Mapping[str, str]) -> dict[str, Any]:
    """All that changes on it. Free space is asked for after the transaction: a drive may hang."""
    found = await here.read(read_today)
    disks = await disk_space(here.config.places)
    troubles = [part for part in found.parts if not part.is_well]
    return {
        "today": found,
        "chart": day_chart(found.throughput),
        "disks": disks,
        "troubles": troubles,
        "well": [part for part in found.parts if part.is_well],
        "kinds": [(kind, found.persons.assets.get(kind, 0)) for kind in KINDS],
    }


live_fragment(router, "/live/today", read_part, "parts/today.html")
