"""Prefect's cancel of a dispatcher's run: its process is told, it releases, and nothing is lost."""

import pytest

from tests.support import kills
from tests.support.one_specimen import Waves, dispatchers
from tests.support.stack import Stack


@pytest.mark.timeout(600)
def test_a_dispatcher_cancelled_in_prefect_releases_and_a_successor_goes_on(
    stack: Stack, waves: Waves
) -> None:
    path = waves.drop()
    stack.until(lambda: bool(kills.holds(stack, path, "running", "barcode", "ocr")()), "a module")
    (row,) = stack.rows("SELECT id FROM track.session WHERE opened_as = %(p)s", p=str(path))
    first = dispatchers(stack, row["id"])[-1]
    run = str(first["flow_run_id"])
    stack.prefect.set_state(run, "CANCELLING")
    session = stack.follow(path)
    waves.as_if_nothing_had_been(session)
    assert [each["ended_why"] for each in dispatchers(stack, session)] == ["broken off", "finished"]
    assert stack.rows("SELECT id FROM track.attempt WHERE cancel_requested_at IS NOT NULL") == []

    def cancelled() -> bool:
        (now,) = stack.prefect.all("flow_runs", flow_runs={"id": {"any_": [run]}})
        return bool(now["state_type"] == "CANCELLED")

    stack.until(cancelled, "the dispatcher's run to be cancelled")
