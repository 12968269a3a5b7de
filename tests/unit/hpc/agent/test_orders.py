"""What a heartbeat is answered is heeded, and a token changes without ever being lost."""

import json

import pytest

from hpc.agent.contact import Contact
from hpc.agent.orders import Orders
from hpc.agent.server import ServerLink
from tests.support.agent_server import AgentServer
from tests.support.agent_site import AgentSite


@pytest.fixture
def orders(site: AgentSite, link: ServerLink) -> Orders:
    (site.home / "token").write_text("7.token\n")
    contact = Contact(site.home, site.config)
    return Orders(site.home, link, site.folders, site.journal, contact)


def test_what_it_is_told_outlives_it(site: AgentSite, orders: Orders) -> None:
    orders.heed({"order": "drain", "lease_s": 300, "capacity": {"process": 9}})
    kept = Contact(site.home, site.config)
    assert (kept.order, kept.lease_s, kept.capacity) == ("drain", 300.0, {"process": 9})
    assert kept.is_within_lease


def test_before_the_first_answer_it_has_what_it_was_configured_for(site: AgentSite) -> None:
    contact = Contact(site.home, site.config)
    assert (contact.order, contact.capacity) == ("run", {"process": 2})
    assert not contact.is_within_lease


def test_a_cancel_is_kept_until_it_is_done(site: AgentSite, orders: Orders) -> None:
    site.claim("b1", ["g1"])
    for _ in range(2):
        orders.heed({"attempts": {"1": "cancel", "99": "cancel"}})
    assert site.journal.path.read_text().count('"what": "stop"') == 1
    member = site.reopened().journal.held.find(1)
    assert member is not None
    assert member.stop == "cancelled"


def test_what_is_another_agents_by_now_is_let_go(site: AgentSite, orders: Orders) -> None:
    batch = site.claim("b1", ["g1", "g2"])
    orders.heed({"attempts": {"1": "lost", "2": "ok"}})
    assert [each.attempt for each in batch.open] == [2]


def test_a_result_that_lies_there_is_told_before_it_is_let_go(
    site: AgentSite, orders: Orders
) -> None:
    """It may have been taken, and its answer lost: then its outputs are waited for."""
    batch = site.claim("b1", ["g1"])
    result: dict[str, object] = {"path": "/attempts/1/complete", "body": {"result": {}}}
    (site.folders.of("b1") / "results" / "1.json").write_text(json.dumps(result))
    orders.heed({"attempts": {"1": "lost"}, "batches": {"b1": "remove"}})
    orders.remove()
    assert [each.attempt for each in batch.open] == [1]
    site.journal.append("reported", attempt=1, outputs=[])
    orders.remove()
    assert not site.folders.of("b1").exists()


def test_a_folder_goes_when_it_is_not_wanted_and_nothing_runs_in_it(
    site: AgentSite, orders: Orders
) -> None:
    batch = site.claim("b1", ["g1"])
    site.journal.append("launching", key="b1", lines=[0], at=1.0)
    orders.heed({"batches": {"b1": "remove", "b9": "remove"}})
    orders.remove()
    assert (site.folders.of("b1").exists(), batch.members[0].lost) == (True, True)
    site.journal.append("ended", key="b1", ends={}, state="over")
    orders.remove()
    orders.remove()
    assert not (site.folders.of("b1") / "tokens").exists()
    assert site.reopened().journal.held.batches == {}


def test_a_new_token_is_used_once_the_server_has_it(
    site: AgentSite, server: AgentServer, orders: Orders, link: ServerLink
) -> None:
    orders.heed({"rotate": True})
    kept = (site.home / "token").read_text().strip()
    assert kept == link.bearer != "7.token"
    assert kept in server.tokens
    assert (site.home / "token").stat().st_mode & 0o777 == 0o600
    assert not (site.home / "token.new").exists()


def test_a_new_token_whose_answer_was_lost_is_given_again(
    site: AgentSite, server: AgentServer, orders: Orders, link: ServerLink
) -> None:
    server.ill["token"] = ["lost"]
    orders.rotate()
    drawn = (site.home / "token.new").read_text().strip()
    assert link.bearer == "7.token"
    orders.rotate()
    assert link.bearer == (site.home / "token").read_text().strip() == drawn
    assert server.tokens == {"7.token", drawn}
