"""Eight workstations send at once, each by its own client; and one whose disk is full."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from api.workstations.app import WorkstationApi, create_app
from tests.support.camera import camera_session
from tests.support.clients import Client, assert_all_is_there
from tests.support.serving import free_port, served
from tests.support.small_disk import small_disk
from tests.support.workstations import write_users
from workstation.ingest.report import IngestResult
from workstation.problems import NoRoomLeft

EIGHT = tuple(f"WORKHERB000{n}" for n in range(1, 9))


def test_eight_clients_at_once_each_have_their_session_whole(
    config: WorkstationApi, tmp_path: Path
) -> None:
    for name in EIGHT:
        (config.n_drive / name).mkdir(exist_ok=True)
    users = tmp_path / "eight.toml"
    write_users(users, {f"user {name}": (name,) for name in EIGHT})
    eight = replace(config, workstations=EIGHT, users_file=users)
    values = tmp_path / "workstations.yaml"
    lines = [
        f"  - {{name: {name}, number: {n}, institution: NHMD}}" for n, name in enumerate(EIGHT, 1)
    ]
    head = values.read_text(encoding="utf-8").partition("workstations:")[0]
    values.write_text("\n".join([f"{head}workstations:", *lines, ""]), encoding="utf-8")
    with served(create_app(eight), free_port()) as url:
        clients = []
        for n, name in enumerate(EIGHT):
            client = Client(tmp_path / name, url, user=f"user {name}", workstation=name)
            camera_session(client.folder, 3, first=10 * n + 1)
            clients.append(client)
        with ThreadPoolExecutor(len(EIGHT)) as threads:
            reports = list(threads.map(Client.ingest, clients))
    assert {report.result for report in reports} == {IngestResult.DONE}
    for client in clients:
        assert client.local() == {}
        assert_all_is_there(client, config.n_drive)


def test_a_full_disk_at_the_workstation_is_named_and_nothing_is_lost(
    config: WorkstationApi, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "full", "2m") as disk,
        served(create_app(config), free_port()) as url,
    ):
        client = Client(tmp_path / "workstation", url, own_folder=disk / "session")
        camera_session(client.folder, 3)
        filler = disk / "of others"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        report = client.ingest()
        assert report.result == IngestResult.PROBLEMS
        (problem,) = report.problems
        assert "full" in problem.what or "room" in problem.what
        assert problem.remedy == NoRoomLeft.remedy
        filler.unlink()
        report = client.ingest()
        assert report.result == IngestResult.DONE, report.text()
        assert_all_is_there(client, config.n_drive)
