"""What an agent is told when it joins is kept, and what cannot be used is named."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.agent.__main__ import main
from hpc.agent.config import ConfigError, draw_token, read_config
from tests.support.agent_server import JOIN_TOKEN, AgentServer


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    """The command line sets up the log of its process, which here is that of all tests."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before


def join(server: AgentServer, home: Path, *words: str) -> int:
    """Let a machine join by its command line; the exit code."""
    told = ["--home", str(home), "--server", server.url, "--site", "pull", "--root", "/work/x"]
    return main(["join", *told, *words])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REFINERY_JOIN_TOKEN", JOIN_TOKEN)
    return tmp_path / "home"


def test_it_joins_with_what_it_can_and_keeps_what_it_was_told(
    server: AgentServer, home: Path
) -> None:
    words = ["--process", "4", "--scheduler", "torque", "--slots", "9", "--label", "gpu"]
    assert join(server, home, "--name", "node7", *words) == 0
    (asked,) = server.bodies("join")
    assert (asked["name"], asked["labels"]) == ("node7", ["gpu"])
    assert asked["capacity"] == {"process": 4, "scheduler": 9}
    assert len(asked["token"]) >= 43
    config = read_config(home)
    assert (config.site, config.launchers, config.scheduler) == (
        "pull",
        {"process": 4, "scheduler": 9},
        "torque",
    )
    assert (home / "token").read_text() == f"7.{asked['token']}\n"
    assert (home / "token").stat().st_mode & 0o777 == 0o600
    kept = "".join(path.read_text() for path in home.iterdir() if path.name != "token")
    assert asked["token"] not in kept
    assert JOIN_TOKEN not in kept


def test_the_same_again_after_a_lost_answer_is_the_same_agent(
    server: AgentServer, home: Path
) -> None:
    server.ill["join"] = ["lost"]
    assert join(server, home) == 69
    assert join(server, home) == 0
    first, second = server.bodies("join")
    assert first["token"] == second["token"]
    assert [path.name for path in home.iterdir() if "joining" in path.name] == []


def test_one_that_has_joined_joins_anew_only_when_told_to(server: AgentServer, home: Path) -> None:
    assert join(server, home) == 0
    assert join(server, home) == 78
    assert join(server, home, "--again") == 0
    first, second = server.bodies("join")
    assert first["token"] != second["token"]


def test_the_join_token_comes_from_a_file_too(
    server: AgentServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REFINERY_JOIN_TOKEN")
    (tmp_path / "t").write_text(f"{JOIN_TOKEN}\n")
    assert join(server, home, "--token-file", str(tmp_path / "t")) == 0


def test_a_wrong_join_token_ends_it_and_costs_the_old_one_nothing(
    server: AgentServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert join(server, home) == 0
    known = (home / "token").read_text()
    monkeypatch.setenv("REFINERY_JOIN_TOKEN", "wrong")
    assert join(server, home, "--again") == 77
    assert (home / "token").read_text() == known


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--server", "http://refinery.example.org"], "https"),
        (["--slots", "3"], "--scheduler"),
        (["--process", "-1"], "capacity"),
        (["--root", "/"], "root"),
    ],
)
def test_what_cannot_be_used_is_said_before_anybody_is_asked(
    words: list[str], what: str, server: AgentServer, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert join(server, home, *words) == 78
    assert what in caplog.text
    assert server.asked == []


@pytest.mark.parametrize(
    ("change", "what"),
    [({"rooot": "/x"}, "rooot"), ({"launchers": {"magic": 1}}, "magic"), ({"root": "x"}, "root")],
)
def test_a_setting_that_is_wrong_is_named(
    change: dict[str, object], what: str, tmp_path: Path
) -> None:
    right = {"server": "https://a.example.org", "site": "s", "name": "n", "root": "/x"}
    (tmp_path / "agent.json").write_text(json.dumps({**right, **change}))
    with pytest.raises(ConfigError, match=what):
        read_config(tmp_path)


def test_one_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text('{"server": "https://a.example.org", "site": "s"}')
    with pytest.raises(ConfigError, match="'name' is missing"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match="join first"):
        read_config(tmp_path / "none")


def test_tokens_are_drawn_and_never_twice() -> None:
    drawn = {draw_token() for _ in range(100)}
    assert len(drawn) == 100
    assert {len(token) for token in drawn} == {43}
