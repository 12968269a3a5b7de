"""Pipelines: each as a graph of its stages, what stands where, and what stages take."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from board.charts import stage_graph
from board.context import Board, Here
from board.live import live_fragment
from board.visitors import Reader
from track.reports.health import parts
from track.reports.stages import USAGE_DAYS, pipelines_seen
from track.schema.states import IN_HAND, State

router = APIRouter()

GROUPS: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("waiting", (State.WAITING,)),
    ("ready", (State.READY,)),
    ("in process", tuple(sorted(IN_HAND))),
    ("done", (State.DONE,)),
    ("failed", (State.FAILED,)),
    ("cancelled", (State.CANCELLED,)),
    ("excluded", (State.EXCLUDED,)),
)
"""How the states of jobs are told together, and in which order."""


@router.get("/pipelines")
async def pipelines(request: Request, here: Here, visitor: Reader) -> Response:
    """All pipelines and sites."""
    found = await read_all(here, {})
    return here.page(request, "pipelines.html", visitor, title="Pipelines", **found)


@router.get("/pipelines/{name}")
async def pipeline(request: Request, here: Here, visitor: Reader, name: str) -> Response:
    """One pipeline."""
    found = await read_one(here, {"name": name})
    return here.page(request, "pipeline.html", visitor, title=name, **found)


async def read_all(here: Board, _: Mapping[str, str]) -> dict[str, Any]:
    """Every pipeline with its counts, and every site."""
    found = await here.read(pipelines_seen)
    sites = [part for part in await here.read(parts) if part.kind == "site"]
    return {"pipelines": found, "groups": GROUPS, "sites": sites}


async def read_one(here: Board, asked: Mapping[str, str]) -> dict[str, Any]:
    """One pipeline by its name. Raises HTTPException where there is none."""
    found = await here.read(pipelines_seen, asked["name"])
    if not found:
        raise HTTPException(
            404, f"There is no pipeline {asked['name']}: see the list of pipelines."
        )
    (only,) = found
    return {"pipeline": only, "graph": stage_graph(only), "groups": GROUPS, "days": USAGE_DAYS}


live_fragment(router, "/live/pipelines", read_all, "parts/pipelines.html")
live_fragment(router, "/live/pipelines/{name}", read_one, "parts/pipeline.html")
