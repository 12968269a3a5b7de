"""My sessions: what became of those that this workstation sent."""

from itertools import groupby

from fastapi import APIRouter
from starlette.responses import Response

from workstation.page.context import Page

router = APIRouter(prefix="/sessions")

STATES = {
    "needs_you": "Needs you",
    "under_way": "Under way",
    "received": "Received",
    "archived": "Archived",
}
"""The states of specimens in the order in which they are listed."""


@router.get("")
def sessions(page: Page, workstation: str = "") -> Response:
    """The sessions of a workstation, the newest first."""
    server = page.state.needs_server()
    login = page.state.login
    own = tuple(login.workstations) if login else ()
    journal = [session.workstation for session in page.state.journal.sessions()]
    known = [name for name in dict.fromkeys((*own, page.state.workstation, *journal)) if name]
    known = [name for name in known if name != "*"]
    chosen = workstation or page.state.workstation or (known[0] if known else "")
    return page.page(
        "sessions.html",
        chosen=chosen,
        known=known,
        sessions=server.sessions(chosen) if chosen else [],
        unfinished=[each for each in page.state.journal.sessions() if each.ended_at is None],
    )


@router.get("/{workstation}/{name}")
def session(page: Page, workstation: str, name: str) -> Response:
    """One session: its specimens by where they are, those that need somebody with the reason."""
    found = page.state.needs_server().session(workstation, name)
    order = list(STATES)
    ordered = sorted(found.specimen_list, key=lambda each: (order.index(each.state), each.guid))
    groups = [(state, list(each)) for state, each in groupby(ordered, key=lambda one: one.state)]
    return page.page("session.html", session=found, groups=groups, words=STATES)
