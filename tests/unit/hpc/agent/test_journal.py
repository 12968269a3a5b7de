"""What the journal says is what the next run knows, wherever this one was killed."""

import json

import pytest

from hpc.agent import journal as module
from hpc.agent.journal import Journal, JournalError
from tests.support.agent_site import AgentSite


def facts(site: AgentSite) -> list[object]:
    return [batch.facts() for batch in site.journal.held.batches.values()]


def fill(site: AgentSite) -> None:
    """Something of everything that may happen."""
    site.journal.append("claim", request_id="r1", free={"process": 2})
    site.claim("b1", ["g1", "g2", "g3"])
    site.journal.append("launching", key="b1", lines=[0, 1, 2], at=5.0)
    site.journal.append("launched", key="b1", native_id="b1")
    outputs = [{"path": "a", "size_bytes": 1, "sha256": "s"}, {"path": "b", "sha256": "t"}]
    site.journal.append("reported", attempt=1, outputs=outputs)
    site.journal.append("sent", attempt=1, sha256="s")
    site.journal.append("stop", attempt=2, why="cancelled")
    site.journal.append("absent", attempts=[2])
    site.journal.append("ended", key="b1", ends={"2": {"state": "cancelled"}})
    site.journal.append("lost", attempt=3)
    site.claim("b2", ["g4"], first=4)
    site.journal.append("claim", request_id="r2", free={"process": 1})


def test_the_next_run_knows_all_that_this_one_knew(site: AgentSite) -> None:
    fill(site)
    known = facts(site)
    again = site.reopened()
    assert facts(again) == known
    assert again.journal.held.claim == site.journal.held.claim
    member = again.journal.held.find(1)
    assert member is not None
    assert [output["sha256"] for output in member.outputs] == ["t"]


def test_a_journal_written_anew_says_the_same_and_no_more(site: AgentSite) -> None:
    fill(site)
    site.journal.append("removed", key="b2")
    known, before = facts(site), site.journal.path.stat().st_size
    again = site.reopened()  # opening it writes it anew
    assert again.journal.path.stat().st_size < before
    assert facts(again.reopened()) == known


def test_it_is_written_anew_when_it_has_grown(
    site: AgentSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPACT_BYTES", 2000)
    site = site.reopened()
    site.claim("b1", ["g1"])
    for _ in range(200):
        site.journal.append("claim", request_id="r", free={})
        site.journal.append("claimed", batches=[])
    assert site.journal.path.stat().st_size < 4000
    assert list(site.reopened().journal.held.batches) == ["b1"]


@pytest.mark.parametrize("left", [1, 10, -2])
def test_a_line_that_was_torn_never_counted(site: AgentSite, left: int) -> None:
    site.claim("b1", ["g1"])
    known = facts(site)
    line = json.dumps({"what": "lost", "attempt": 1})
    with site.journal.path.open("a") as journal:
        journal.write(line[:left])
    again = site.reopened()
    assert facts(again) == known
    again.journal.append("lost", attempt=1)
    member = again.reopened().journal.held.find(1)
    assert member is not None
    assert member.lost


def test_a_line_in_its_midst_that_is_none_stops_everything(site: AgentSite) -> None:
    with site.journal.path.open("a") as journal:
        journal.write('{"what": "lost"\n{}\n')
    with pytest.raises(JournalError, match="line 1"):
        site.reopened()


def test_only_its_owner_reads_it_and_no_token_is_in_it(site: AgentSite) -> None:
    fill(site)
    assert site.journal.path.stat().st_mode & 0o777 == 0o600
    assert "secret-" not in site.journal.path.read_text()
    assert site.reopened().journal.path.stat().st_mode & 0o777 == 0o600


def test_one_that_is_looked_at_is_not_changed(site: AgentSite) -> None:
    fill(site)
    before = site.journal.path.read_bytes()
    seen = Journal(site.journal.path, read_only=True)
    assert set(seen.held.batches) == {"b1", "b2"}
    with pytest.raises(JournalError):
        seen.append("removed", key="b1")
    assert site.journal.path.read_bytes() == before


def test_nothing_counts_that_the_disk_did_not_take(site: AgentSite) -> None:
    site.claim("b1", ["g1"])
    site.journal.path.unlink()
    site.journal.path.mkdir()
    with pytest.raises(JournalError, match="cannot be written"):
        site.journal.append("removed", key="b1")
    assert list(site.journal.held.batches) == ["b1"]
