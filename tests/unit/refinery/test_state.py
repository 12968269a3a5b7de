"""The state file: whole, closed to others, and never believed about a process."""

import os
from pathlib import Path

import pytest

from refinery import state
from refinery.local.stack import NotAProject, running
from refinery.processes import ProcessId, identify
from refinery.settings import Settings
from refinery.state import SystemState


def made(folder: Path) -> Settings:
    settings = Settings.load(folder, {})
    settings.state.mkdir()
    return settings


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = made(tmp_path)
    me = identify(os.getpid())
    written = SystemState(ports={"prefect": 4200}, supervisor=me, services={"ars": me}, ready=True)  # type: ignore[dict-item]
    state.write(settings, written)
    assert state.read(settings) == written
    assert state.read(settings).running()
    assert state.path_of(settings).stat().st_mode & 0o777 == 0o600


def test_a_supervisor_whose_pid_was_recycled_does_not_run(tmp_path: Path) -> None:
    settings = made(tmp_path)
    state.write(settings, SystemState(supervisor=ProcessId(os.getpid(), 1.0), ready=True))
    assert not state.read(settings).running()


def test_without_a_file_or_with_a_torn_one_nothing_runs(tmp_path: Path) -> None:
    settings = made(tmp_path)
    assert state.read(settings) == SystemState()
    for torn in ("", "{", "[]", '{"ports": 3}', '{"ports": {}, "supervisor": {"x": 1}}'):
        state.path_of(settings).write_text(torn)
        assert not state.read(settings).running()


def test_the_end_keeps_the_ports_and_nothing_else(tmp_path: Path) -> None:
    assert SystemState(ports={"ars": 1}, ready=True).stopped() == SystemState(ports={"ars": 1})


def test_a_secret_is_drawn_once_and_closed_to_others(tmp_path: Path) -> None:
    settings = made(tmp_path)
    drawn = state.secret(settings, "token-key")
    assert state.secret(settings, "token-key") == drawn and len(drawn) == 64
    assert state.secret(settings, "other") != drawn
    assert (settings.state / "run" / "token-key").stat().st_mode & 0o777 == 0o600


def test_two_systems_carry_different_marks(tmp_path: Path) -> None:
    first = Settings.load(tmp_path, {})
    second = Settings.load(tmp_path, {"REFINERY_PROJECT": "trial"})
    assert state.mark(first) != state.mark(second)


async def test_a_start_outside_a_project_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotAProject, match=r"holds no prefect\.yaml"):
        async with running(Settings.load(tmp_path, {}), print):
            pass
    assert list(tmp_path.iterdir()) == []
