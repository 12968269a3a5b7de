"""Whatever is sent to the stand-in: an answer in the archive's words, never a stumble."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demo.ars.app import mounts
from demo.ars.world import World
from tests.integration.demo.ars.stand_in import Archive, configure
from tests.support.any_call import ODD_BODIES, ODD_TYPES, calls, operations

WORLD = World(configure(Path("unused"), "postgresql+psycopg://unused")[0])
OPERATIONS = {
    (mount.path, label): operation
    for mount in mounts(WORLD)
    if isinstance(mount.app, FastAPI) and mount.path != "/__sim"
    for label, operation in operations(mount.app).items()
}
EXAMPLES = 6
MEANT = {507}
"""Answers that look like a server error and are the contract: the checksum did not match."""


@pytest.fixture(scope="module")
def known(running: Archive) -> dict[str, st.SearchStrategy[Any]]:
    """Words of an archive that holds something."""
    guids = [running.archived(), running.create()]
    return {
        "asset_guid": st.sampled_from(guids),
        "guid": st.sampled_from(guids),
        "institution": st.just("NHMD"),
        "collection": st.just("Vascular plants"),
        "pipeline": st.just("PIPEHERB0001"),
        "workstation": st.just("WORKHERB0001"),
        "status": st.just("WORKING_COPY"),
        "asset_subject": st.just("specimen"),  # an unknown one is meant to break a creation
        "path": st.sampled_from(["leaf.tif", "../leaf.tif", "x"]),
    }


@pytest.mark.parametrize(("mount", "label"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_no_call_makes_the_archive_stumble(
    archive: Archive, known: dict[str, st.SearchStrategy[Any]], mount: str, label: str
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(call=calls(OPERATIONS[mount, label], known))
    def every(call: Any) -> None:
        headers = {"Authorization": f"Bearer {archive.token('administrator')}"}
        answer = call.call(base_url=archive.config.base_url + mount, headers=headers, timeout=60)
        code = answer.status_code
        assert code < 500 or code in MEANT, (call.as_curl_command(), answer.text)

    archive.tick()  # or a share that another call's test left synchronising would be in the way
    every()


@pytest.mark.parametrize("odd", ODD_BODIES)
def test_no_body_makes_the_archive_stumble(archive: Archive, odd: str) -> None:
    for mount, label in OPERATIONS:
        method, path = label.split(" ", 1)
        if method == "GET":
            continue
        for kind in ODD_TYPES:
            answer: httpx.Response = archive.call(
                method,
                mount + path.replace("{", "").replace("}", ""),
                by="administrator",
                content=ODD_BODIES[odd],
                headers={"Content-Type": kind},
            )
            assert answer.status_code < 500 or answer.status_code in MEANT, (path, answer.text)
