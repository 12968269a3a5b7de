"""Where nodes have no network the agent carries: inputs before the start, what was made after."""

import json
import zlib
from typing import Any

import pytest

from hpc.agent.background import BackgroundCalls
from hpc.agent.held import HeldBatch
from hpc.agent.pauses import GrowingPause
from hpc.agent.reports import Reporter
from hpc.agent.server import ServerLink
from hpc.agent.shares import TRIES, ShareCarrier
from hpc.agent.start_faults import StartFaults
from tests.support.agent_server import AgentServer
from tests.support.agent_site import AgentSite


@pytest.fixture
def carrier(site: AgentSite, link: ServerLink) -> ShareCarrier:
    calls = BackgroundCalls(lambda: None, inline=True)
    return ShareCarrier(link, site.folders, site.journal, calls)


def claimed(site: AgentSite, server: AgentServer, **more: Any) -> HeldBatch:
    """A batch of one member for nodes without a network."""
    given = server.add_batch("b1", [1], "scheduler", granted=True, callback="", **more)
    site.journal.append("claimed", batches=[site.folders.write_batch(given)])
    return site.journal.held.batches["b1"]


def until_ready(carrier: ShareCarrier, batch: HeldBatch, tries: int) -> bool:
    for _ in range(tries):
        carrier.pause = GrowingPause()
        if carrier.is_ready(batch):
            return True
    return False


def test_inputs_are_brought_before_a_batch_starts(
    site: AgentSite, server: AgentServer, carrier: ShareCarrier
) -> None:
    server.ars_token = "ars-2"  # the grant's own is outlived by now
    batch = claimed(site, server, inputs=[server.put_file("a.tif", b"content")])
    assert carrier.is_ready(batch)
    path = site.folders.asset("g-1", "a.tif")
    assert path.read_bytes() == b"content"
    assert [each.name for each in path.parent.iterdir()] == ["a.tif"]


def test_what_is_here_already_is_not_fetched_again(
    site: AgentSite, server: AgentServer, carrier: ShareCarrier
) -> None:
    batch = claimed(site, server, inputs=[server.put_file("a.tif", b"content")])
    path = site.folders.asset("g-1", "a.tif")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    server.files.clear()
    assert carrier.is_ready(batch)


@pytest.mark.parametrize("sent", [b"another", b"short", None])
def test_a_file_that_never_comes_whole_is_left_for_its_job_to_report(
    sent: bytes | None, site: AgentSite, server: AgentServer, carrier: ShareCarrier
) -> None:
    batch = claimed(site, server, inputs=[server.put_file("a.tif", b"content")])
    del server.files["/share/a.tif"]
    if sent is not None:
        server.files["/share/a.tif"] = sent
    assert not until_ready(carrier, batch, TRIES - 1)
    assert until_ready(carrier, batch, 1)
    assert not site.folders.asset("g-1", "a.tif").exists()


def test_a_name_that_leads_elsewhere_writes_nothing(
    site: AgentSite, server: AgentServer, carrier: ShareCarrier
) -> None:
    file = server.put_file("a.tif", b"content")
    batch = claimed(site, server, inputs=[{**file, "name": "../../../x"}])
    assert until_ready(carrier, batch, TRIES)
    assert [path.name for path in site.folders.assets.rglob("*")] == []


def leave(site: AgentSite, content: bytes | None = b"made") -> None:
    """Leave a result that wants a file archived."""
    path = site.folders.asset("g-1", "made.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    made = {"name": "made.jpg", "crc32": zlib.crc32(b"made"), "size_bytes": 4}
    body = {
        "native_id": "b1",
        "nonce": "n",
        "result": {"uploaded": [made]},
        "carry": [{**made, "path": "g-1/made.jpg"}],
    }
    text = json.dumps({"path": "/attempts/1/complete", "body": body})
    (site.folders.of("b1") / "results" / "1.json").write_text(text)


def uploads(server: AgentServer) -> list[dict[str, Any]]:
    return [
        {"name": "made.jpg", "url": f"{server.url}/share/made.jpg", "crc32": 1, "size_bytes": 4}
    ]


def test_what_was_made_is_in_the_archive_before_its_result_counts(
    site: AgentSite, server: AgentServer, link: ServerLink, carrier: ShareCarrier
) -> None:
    claimed(site, server, uploads=uploads(server))
    leave(site)
    reporter = Reporter(link, site.folders, site.journal, StartFaults(site.home))
    server.ill["share"] = [503, 503]
    carrier.carry(reporter.carried)
    reporter.turn()
    assert server.told("complete") == []
    carrier.pause = reporter.pause = GrowingPause()
    carrier.carry(reporter.carried)
    reporter.turn()
    assert server.files["/share/made.jpg"] == b"made"
    assert server.told("complete") == [1]
    assert "carry" not in server.messages[-1]["body"]


def test_an_upload_whose_answer_was_lost_is_found_there(
    site: AgentSite, server: AgentServer, carrier: ShareCarrier
) -> None:
    claimed(site, server, uploads=uploads(server))
    leave(site)
    server.files["/share/made.jpg"] = b"made"
    server.ill["share"] = [400]  # it has no room for the same once more
    carried: set[int] = set()
    carrier.carry(carried)
    assert carried == {1}


def test_a_file_that_is_gone_ends_its_job_without_a_result(
    site: AgentSite, server: AgentServer, link: ServerLink, carrier: ShareCarrier
) -> None:
    claimed(site, server, uploads=uploads(server))
    leave(site, content=None)
    carried: set[int] = set()
    for _ in range(TRIES):
        carrier.pause = GrowingPause()
        carrier.carry(carried)
    assert carried == set()
    Reporter(link, site.folders, site.journal, StartFaults(site.home)).turn()
    assert server.told("ended") == [1]
