"""Events as plain dicts."""

import json
from uuid import UUID, uuid4

from schemas import events


def test_a_callback_is_announced_under_one_id_however_often() -> None:
    session = uuid4()

    def announce(n: int) -> dict[str, object]:
        return events.job_event(
            events.JOB_FINISHED,
            "g 1",
            attempt=7,
            n=n,
            stage="barcode",
            session=session,
            pipeline="PIPEHERB0001",
            site="ucloud",
        )

    assert announce(0) == announce(0)
    assert announce(0)["id"] != announce(1)["id"]
    assert announce(0)["id"] == str(events.callback_id(7, "hpc.job.finished"))


def test_an_event_of_an_asset_is_found_by_its_session() -> None:
    event = events.asset_event(
        events.ASSET_ATTENTION, "g", session="s", pipeline="P", payload={"why": "dim"}
    )
    assert event["resource"] == {"prefect.resource.id": "specimen.asset.g"}
    assert event["related"] == [
        {"prefect.resource.id": "specimen.session.s", "prefect.resource.role": "session"},
        {"prefect.resource.id": "specimen.pipeline.P", "prefect.resource.role": "pipeline"},
    ]
    assert event["payload"] == {"why": "dim"}


def test_every_event_is_json_and_has_an_id_of_its_own() -> None:
    session = events.session_event(events.SESSION_WAKE, uuid4())
    site = events.system_event(events.SITE_DEGRADED, "site", "ucloud", payload={"why": "shut"})
    assert json.loads(json.dumps([session, site])) == [session, site]
    assert UUID(session["id"]) != UUID(site["id"])


def test_all_names_differ() -> None:
    named = [
        value for value in vars(events).values() if str(value).startswith(("specimen.", "hpc."))
    ]
    assert len(named) == len(set(named)) == 23
