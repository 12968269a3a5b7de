"""The dispatcher: carries one session as far as it goes, one subflow per job."""

from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.archive import archive_asset
from flows.finalise import finalise_asset
from flows.ingest import ingest_asset
from flows.module import run_module
from schemas.pace import Pace
from tasks.archive.configured import open_tier
from tasks.dispatch.dispatcher import Subflow
from tasks.dispatch.dispatching import dispatching
from tasks.dispatch.reports import SessionReport, announce_finished
from tasks.intake.folders import close_session_folder
from tasks.intake.registration import register_session
from track.jobs.claims import Claim
from track.jobs.leases import LeaseTaken

BUILTINS: dict[str, Subflow] = {"ingest": ingest_asset, "finalise": finalise_asset}


@flow(name="dispatch", flow_run_name="dispatch")  # it is renamed once its folder is known
async def dispatch(session: UUID, pace: Pace | None = None) -> State:
    """Register a session's specimens, then start what becomes ready until nothing moves.

    Started by the automation on `specimen.session.ready` and `specimen.session.wake`.
    Ends parked when all that is left waits at sites; a callback then wakes a successor.

    Args:
        session: the session's id, as the board and `refinery why` show it
        pace: how fast and how patiently it works; empty: as we come
    """
    try:
        async with (
            dispatching(session, pace or Pace(), open_tier) as dispatcher,
            SessionReport(dispatcher),
        ):
            await register_session(dispatcher)
            async for claim in dispatcher.claims():
                dispatcher.start(claim, subflow_of(claim))
            await close_session_folder(dispatcher)
    except LeaseTaken as taken:
        return Completed(name="Elsewhere", message=str(taken))
    if dispatcher.ending == "finished":
        announce_finished(dispatcher)
    return Completed(name=dispatcher.ending.title(), message=f"{dispatcher.started} subflows")


def subflow_of(claim: Claim) -> Subflow:
    """The flow that does a claim's kind of work."""
    if claim.kind == "builtin":
        return BUILTINS.get(claim.run, archive_asset)
    return run_module
