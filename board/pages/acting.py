"""Acting: a verb's form with what it will do, its run, and what became of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from board.acting.form import VerbForm, read_form, read_seen
from board.acting.prefect import PrefectAway, VerbsKept, prefect
from board.context import Board, Here
from board.live import live_fragment
from board.visitors import Operator, Reader, Visitor
from schemas.yaml_lines import nearest
from tasks.upkeep.verb_runs import VerbRun, ask_once, read_run
from tasks.upkeep.verbs import Verb, VerbResult, verb_result
from track.commands.selection import CannotDo

router = APIRouter()

KEPT_RUNS = 50

NO_RUN = (
    "There is no such run of a verb: its address may have a typing error, or Prefect has "
    "forgotten it. What verbs did is in each specimen's history."
)


@router.get("/act")
async def verbs(here: Here, request: Request, visitor: Reader) -> Response:
    """Every verb, with what it does."""
    try:
        known = await here.keep(VerbsKept).all(here.config.prefect_api)
    except PrefectAway as away:
        return _away(here, request, visitor, away)
    return here.page(request, "verbs.html", visitor, title="Act", verbs=known.values())


@router.get("/act/runs/{run_id}")
async def run(here: Here, request: Request, run_id: str, visitor: Reader) -> Response:
    """What became of a run of a verb."""
    try:
        found, result = await read_result(here, run_id)
    except PrefectAway as away:
        return _away(here, request, visitor, away)
    return here.page(request, "verb_run.html", visitor, title=found.verb, run=found, result=result)


class RunsEnded:
    """Runs that are over, the latest of those looked at: nothing of them changes any more."""

    def __init__(self) -> None:
        self._runs: dict[UUID, tuple[VerbRun, VerbResult]] = {}

    def get(self, run_id: UUID) -> tuple[VerbRun, VerbResult] | None:
        """A run that is over, and what became of it, if somebody looked at it before."""
        return self._runs.get(run_id)

    def put(self, run: VerbRun, result: VerbResult) -> None:
        """Keep one, and let go of the oldest."""
        self._runs[run.id] = (run, result)
        while len(self._runs) > KEPT_RUNS:
            del self._runs[next(iter(self._runs))]


async def read_result(here: Board, run_id: str) -> tuple[VerbRun, VerbResult]:
    """A run and what became of it. Raises PrefectAway, and 404 when there is none."""
    try:
        wanted = UUID(run_id)
    except ValueError:
        raise HTTPException(404, NO_RUN) from None
    ended = here.keep(RunsEnded)
    if known := ended.get(wanted):
        return known
    async with prefect(here.config.prefect_api) as client:
        found = await read_run(client, wanted)
        if found is None:
            raise HTTPException(404, NO_RUN)
        result = await verb_result(client, wanted)
    if result.ended:
        ended.put(found, result)
    return found, result


async def _live(here: Board, asked: Mapping[str, str]) -> Mapping[str, Any]:
    found, result = await read_result(here, asked["run_id"])
    return {"run": found, "result": result}


live_fragment(router, "/live/run/{run_id}", _live, "parts/verb_result.html")


@router.get("/act/{verb}")
async def ask(here: Here, request: Request, verb: str, visitor: Reader) -> Response:
    """A verb's form, with what the link's query gives filled in."""
    try:
        known = await _verb(here, verb)
    except PrefectAway as away:
        return _away(here, request, visitor, away)
    query = request.query_params.multi_items()
    form = await read_form(here, known, query, by=visitor.name, all_needed=False)
    return _form(here, request, visitor, form)


@router.post("/act/{verb}")
async def act(here: Here, request: Request, verb: str, visitor: Operator) -> Response:
    """Run a verb, once what it will do was read."""
    sent = [(name, text) for name, text in (await request.form()).multi_items()
            if isinstance(text, str)]  # fmt: skip
    page = dict(sent)
    try:
        known = await _verb(here, verb)
    except PrefectAway as away:
        return _away(here, request, visitor, away, verb, page)
    form = await read_form(here, known, sent, by=visitor.name, all_needed=True)
    if form.faults:
        return _form(here, request, visitor, form, 422)
    if page.get("told") != form.told:
        said = "You have changed something: this is what will happen now. Press once more for it."
        return _form(here, request, visitor, form, said=said)
    try:
        async with prefect(here.config.prefect_api) as client:
            parameters = dict(form.values) | {"by": visitor.name}
            asked = await ask_once(
                client, known, parameters, seen_at=read_seen(page.get("seen", ""))
            )
    except PrefectAway:
        said = (
            "Prefect cannot be reached just now. Press again once it is back: what was asked for "
            "is done once, also if it heard of it already."
        )
        return _form(here, request, visitor, form, 503, said=said, tone="bad")
    except CannotDo as cannot:
        return _form(here, request, visitor, form, 422, said=str(cannot), tone="bad")
    if not asked.is_mine:
        return here.page(
            request, "verb_twice.html", visitor, 409,
            title=f"{verb}: somebody was first", run=asked.run, form=form,
        )  # fmt: skip
    return RedirectResponse(f"/act/runs/{asked.run.id}", 303)


def _form(
    here: Board,
    request: Request,
    visitor: Visitor,
    form: VerbForm,
    status: int = 200,
    *,
    said: str = "",
    tone: str = "warn",
) -> Response:
    return here.page(
        request,
        "verb.html",
        visitor,
        status,
        title=form.verb.name,
        form=form,
        said=said,
        tone=tone,
        seen=f"{datetime.now(UTC).timestamp():.3f}",
    )


def _away(
    here: Board,
    request: Request,
    visitor: Visitor,
    away: PrefectAway,
    verb: str = "",
    sent: dict[str, Any] | None = None,
) -> Response:
    """Says so, and keeps what was filled in: the form is opened with it once Prefect is back."""
    own = {"csrf", "told", "seen", "by"}
    kept = {name: text for name, text in (sent or {}).items() if name not in own and text}
    return here.page(
        request, "prefect_away.html", visitor, 503,
        title="Prefect is away", why=str(away), verb=verb, kept=kept,
    )  # fmt: skip


async def _verb(here: Board, name: str) -> Verb:
    known = await here.keep(VerbsKept).all(here.config.prefect_api)
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else "the page /act lists all there are."
        raise HTTPException(404, f"There is no verb {name[:40]!r}; {hint}")
    return known[name]
