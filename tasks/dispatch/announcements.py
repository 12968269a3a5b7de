"""Events that people and other systems may listen to; nothing of ours waits for them."""

from prefect.events import emit_event

from schemas.events import ASSET_FINALISED, SESSION_FINISHED, asset_event, session_event
from tasks.dispatch.dispatcher import Dispatcher
from track.jobs.claims import Claim


def announce_finalised(dispatcher: Dispatcher, claim: Claim) -> None:
    """Say that a specimen reached the end of its road."""
    found = asset_event(
        ASSET_FINALISED, claim.guid, session=dispatcher.session_id, pipeline=claim.pipeline
    )
    emit_event(**{name: found[name] for name in ("event", "resource", "related", "payload")})


def announce_finished(dispatcher: Dispatcher) -> None:
    """Say that nothing of a session moves by itself any more."""
    payload = {"subflows": dispatcher.started}
    found = session_event(SESSION_FINISHED, dispatcher.session_id, payload=payload)
    emit_event(**{name: found[name] for name in ("event", "resource", "related", "payload")})
