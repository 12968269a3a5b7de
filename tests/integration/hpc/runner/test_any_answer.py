"""Whatever comes back over HTTP: a finished result stays until our server has taken it.

Between a node and the server stand gateways, proxies and portals. Their answers are made up
here, cut anywhere and sent as slowly as you please; what the runner may conclude is told by
who answered, which the test knows and the runner has to find out.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpc.runner import client, deadline
from hpc.runner.batch import read_lines
from hpc.runner.runner import Runner

EXAMPLES = 80
ATTEMPT = 7
START, COMPLETE, FAIL = (f"/attempts/{ATTEMPT}/{verb}" for verb in ("start", "complete", "fail"))
CALL_S = 0.3
PATIENT_S, IMPATIENT_S = 60.0, 0.05
LOGIN = b"<!DOCTYPE html><html><title>Sign in</title><form action='/login'></form></html>"
NEARLY: list[Any] = [
    {"applied": "applied", "attempt": ATTEMPT + 1},
    {"applied": True},
    {"error": "not found"},
    {"error": f"no route to attempt {ATTEMPT}0"},
    {"error": f"attempt {ATTEMPT} of 3 failed", "code": 409},
    {"error": "expired", "refused": "unauthorised", "attempt": ATTEMPT + 1},
    {"attempt": ATTEMPT, "guid": "asset-1"},
    {"token": "t", "expires_in": "never"},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
BODIES = st.one_of(
    st.sampled_from([b"", b"null", b"{}", LOGIN, b"[" * 100_000, b"1" * 5000, b"\xff\xfe{"]),
    st.sampled_from(NEARLY).map(lambda body: json.dumps(body).encode()),
    JSON.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=60),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "Content-Type: text/html",
            "Content-Type: application/json",
            "Content-Encoding: gzip",
            "Location: https://login.example.org/?next=/attempts",
            "Location: http://[",
            "Location: file:///etc/passwd",
            "WWW-Authenticate: Basic realm=x",
            "Retry-After: 0",
            "Retry-After: soon",
            "Connection: keep-alive",
            "no colon at all",
            "Set-Cookie: \xe9=\x01",
        ]
    ),
    max_size=3,
)
LENGTHS = st.sampled_from(["true", "none", "long", "short", "negative", "words", "chunks", "bad"])
STATUSES = st.integers(100, 599) | st.sampled_from([200, 204, 302, 401, 403, 404, 409, 422, 999])


def framed(body: bytes, length: str) -> tuple[list[str], bytes]:
    """A body and the headers that tell, rightly or not, how long it is."""
    numbers = {"true": len(body), "long": len(body) + 9, "short": len(body) // 2, "negative": -1}
    if length in numbers:
        return [f"Content-Length: {numbers[length]}"], body
    if length == "words":
        return ["Content-Length: many"], body
    if length == "none":
        return [], body
    size = b"%x" % len(body) if length == "chunks" else b"zz"
    return ["Transfer-Encoding: chunked"], size + b"\r\n" + body + b"\r\n0\r\n\r\n"


@st.composite
def foreign(draw: Any) -> bytes | tuple[str, bytes]:
    """What somebody else answers, whole, cut off at any byte, or byte by byte."""
    more, body = framed(draw(BODIES), draw(LENGTHS))
    lines = [f"HTTP/1.1 {draw(STATUSES)} As It Is", *draw(HEADERS), *more, "", ""]
    whole = "\r\n".join(lines).encode("latin-1") + body
    how = draw(st.sampled_from(["whole", "whole", "cut", "garbage", "drip"]))
    if how == "garbage":
        return draw(st.binary(max_size=40))
    if how == "drip":
        return "drip", whole
    return whole[: draw(st.integers(0, len(whole)))] if how == "cut" else whole


OURS = st.sampled_from(["yes", 401, 403, 409, 413, 422, "nobody"])
"""Our server's word after all that, if there comes one."""


@dataclass
class Before:
    """The world and the batch, and where the next example's lie."""

    world: Any
    batch: Any
    folder: Path
    n: int = 0

    def prepare(self, ill: dict[str, list[Any]]) -> Path:
        """A site of its own with one line, whose server answers so; the batch folder."""
        self.n += 1
        self.batch.root = self.folder / str(self.n)
        self.batch.folder = self.batch.root / "batches" / "b"
        self.batch.folder.mkdir(parents=True)
        for told in (self.world.told, self.world.asked, self.world.ill, self.world.started_by):
            told.clear()
        self.batch.add(self.world, ATTEMPT, "load")
        self.world.ill.update(ill)
        return Path(self.batch.folder)


@pytest.fixture
def before(world, batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Before:
    monkeypatch.setattr(client, "CALL_TIMEOUT_S", CALL_S)
    monkeypatch.setattr(client, "CALL_S", CALL_S)
    monkeypatch.setattr(deadline, "LONGEST_PAUSE_S", 0.002)
    return Before(world, batch, tmp_path / "sites")


def answers(wrong: list[Any], word: object) -> list[Any]:
    """Wrong answers, and our own from then on; `nobody`: the last wrong one for ever."""
    if word == "nobody":
        return (wrong or [b""]) * 500
    return wrong if word == "yes" else wrong + [word] * 500


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    start=st.lists(foreign(), max_size=2),
    said=OURS,
    complete=st.lists(foreign(), max_size=2),
    taken=OURS,
)
def test_only_our_servers_own_words_count(
    before: Before, start: list[Any], said: object, complete: list[Any], taken: object
) -> None:
    in_vain = "nobody" in (said, taken)
    patience = IMPATIENT_S if in_vain else PATIENT_S
    if in_vain and said != "nobody":
        start = []  # the one patience is for both
    folder = before.prepare({START: answers(start, said), COMPLETE: answers(complete, taken)})
    code, took = run(folder, patience)
    assert took < patience + 20, "it ends within its patience"
    if said == "yes":
        judge_outcome(before, code, taken)
    elif said == "nobody":
        assert (code, before.world.told) == (os.EX_TEMPFAIL, [])
    else:
        assert code == (0 if said == 409 else os.EX_NOPERM)
    if said != "yes":
        assert not (before.batch.root / "assets").exists(), "nothing is touched without a grant"
        assert before.batch.kept() == {}


def run(folder: Path, patience: float) -> tuple[int, float]:
    """The exit code, and how long it took; anything raised is an error of the runner."""
    began = time.monotonic()
    code = Runner(folder, "4711", patience).run(read_lines(folder, [0]))
    return code, time.monotonic() - began


def judge_outcome(before: Before, code: int, taken: object) -> None:
    """What became of a finished result, when our server's word about it was `taken`."""
    told = {path for path, _ in before.world.told}
    kept = before.batch.kept()
    assert code == 0
    if taken == "yes":
        assert COMPLETE in told
        assert kept == {}
    elif taken in (413, 422):
        assert FAIL in told, "a result that cannot be taken fails the job"
        assert kept == {}
    elif taken == 409:
        assert kept == {}
    else:
        assert kept["7.json"]["path"] == COMPLETE
        assert kept["7.json"]["body"]["result"]["details"] == {"files": []}
