"""The stand-in as a process of its own, killed at its worst moments."""

import json
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx

from demo.ars.config import StandInConfig
from refinery.local.postgres import EmbeddedPostgres
from tests.integration.demo.ars.stand_in import Archive, configure

PATIENCE_S = 60.0
PROGRAM = """
import json, sys
from pathlib import Path
from demo.ars.app import serve
from demo.ars.config import StandInConfig
given = json.load(sys.stdin)
folders = {key: Path(given[key]) for key in ("share_dir", "erda_dir")}
config = StandInConfig(**(given["config"] | folders))
serve(config, "127.0.0.1", given["port"])
"""


@contextmanager
def process(config: StandInConfig, port: int) -> Iterator[Archive]:
    """The stand-in in a child process, killed without warning when the block ends."""
    fields = asdict(config)
    folders = {key: str(fields.pop(key)) for key in ("share_dir", "erda_dir")}
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, text=True)
    try:
        assert child.stdin is not None
        with child.stdin:
            json.dump({"config": fields, "port": port, **folders}, child.stdin)
        with httpx.Client(base_url=config.base_url, timeout=PATIENCE_S) as http:
            wait_until_healthy(http, child)
            yield Archive(config, http)
    finally:
        child.kill()
        child.wait(PATIENCE_S)


def wait_until_healthy(http: httpx.Client, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert child.poll() is None and time.monotonic() < deadline, "the stand-in did not start"
        try:
            http.get("/ars/actuator/health").raise_for_status()
            return
        except httpx.TransportError:
            threading.Event().wait(0.05)


def ask_for_a_tick(archive: Archive) -> None:
    """Ask on a connection of its own: the answer may never come."""
    try:
        httpx.post(f"{archive.config.base_url}/__sim/tick", timeout=PATIENCE_S)
    except httpx.TransportError:
        return


def test_killed_between_success_and_closing_it_finishes_after_a_restart(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    postgres.ensure_database("ars_killed")
    config, port = configure(tmp_path, postgres.url("ars_killed"))
    with process(config, port) as archive:
        guid = archive.create()
        archive.upload(guid, "leaf.tif", b"leaf")
        archive.synchronise(guid)
        archive.fault("slow_gap", seconds=60, match={"guid": guid})
        asking = threading.Thread(target=ask_for_a_tick, args=[archive])
        asking.start()
        deadline = time.monotonic() + PATIENCE_S
        while archive.status(guid)[0] != "ERDA_SYNCHRONISED":
            assert time.monotonic() < deadline
        assert archive.status(guid) == ("ERDA_SYNCHRONISED", 10)
    asking.join(PATIENCE_S)
    with process(config, port) as archive:
        assert archive.tick()["synchronised"] == 1
        assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
        assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == b"leaf"
        names = [event["event"] for event in archive.events(guid)]
        assert names == ["CREATE_ASSET_METADATA", "CREATE_ASSET"]


def test_killed_in_the_middle_of_an_upload_it_keeps_the_old_file(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    postgres.ensure_database("ars_killed_upload")
    config, port = configure(tmp_path, postgres.url("ars_killed_upload"))
    incoming = config.share_dir / "incoming"
    with process(config, port) as archive:
        guid = archive.create()
        archive.upload(guid, "leaf.tif", b"old")
        token = archive.token()
        started, go_on = threading.Event(), threading.Event()

        def body() -> Iterator[bytes]:
            yield b"x" * 3_000_000
            started.set()
            go_on.wait(PATIENCE_S)

        def upload() -> None:
            address = f"{config.base_url}/file_proxy/api/assetfiles/NHMD/Vascular plants/{guid}"
            try:
                httpx.put(
                    f"{address}/leaf.tif?crc=1&file_size_mb=4",
                    content=body(),
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=PATIENCE_S,
                )
            except httpx.TransportError:
                return

        sending = threading.Thread(target=upload)
        sending.start()
        assert started.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while not any(part.stat().st_size for part in incoming.iterdir()):
            assert time.monotonic() < deadline
    go_on.set()
    sending.join(PATIENCE_S)
    assert list(incoming.iterdir())
    with process(config, port) as archive:
        assert list(incoming.iterdir()) == []
        assert [row["crc"] for row in archive.file_info(guid)] == [zlib.crc32(b"old")]
        assert (archive.share_folder(guid) / "leaf.tif").read_bytes() == b"old"
