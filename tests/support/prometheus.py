"""A real Prometheus that reads given applications, and what a test asks of it."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import yaml

from tests.support.needed import need
from tests.support.serving import free_port

PROGRAMS = ("prometheus", "promtool")
MAX_SECONDS = 60.0
MONITORING = Path(__file__).parents[2] / "deployments" / "monitoring"


def need_prometheus() -> None:
    """Skip the test where there is no Prometheus."""
    there = all(which(program) for program in PROGRAMS)
    need(there, "Prometheus is not installed: run tests/debian-packages.sh")


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Have promtool check something."""
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)


@dataclass
class Prometheus:
    """One that runs, asked over its own API."""

    http: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now. Fails when Prometheus does not understand it."""
        answer = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives once it gives anything."""
        deadline = time.monotonic() + MAX_SECONDS
        while not (found := self.query(expression)):
            assert time.monotonic() < deadline, f"nothing for {expression}"
            time.sleep(0.1)
        return found

    def names(self) -> set[str]:
        """Every metric that it has read."""
        found: set[str] = set(self.http.get("/api/v1/label/__name__/values").json()["data"])
        return found


@contextmanager
def reading(applications: Mapping[str, str], folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus with our rules that reads `host:port` of each job every other second."""
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [address]}]}
        for job, address in applications.items()
    ]
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "rules.yaml")],
        "scrape_configs": jobs,
    }
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    argv = [
        "prometheus",
        f"--config.file={written}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False) as http:
                _wait_until_ready(http, process, log)
                yield Prometheus(http)
        finally:
            process.terminate()


def _wait_until_ready(http: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
        try:
            if http.get("/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
