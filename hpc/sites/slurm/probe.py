"""The doctor's job: sent, started and read back as every job of the driver's is.

It runs `hpc/runner/probe.py` in the runner's place. So where it succeeds, real jobs find the same
Python, the same environment and the same network.
"""

import asyncio
import json
import secrets
import time
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from hpc.scheduler.ladder import asked_for
from hpc.scheduler.refusals import SubmitOutcome
from hpc.sites.shipping import Parcel, batch_script
from hpc.sites.slurm.answers import Hello, SiteTrouble
from hpc.sites.slurm.cluster import Cluster
from schemas.sites import Site
from track.jobs.batches import ALONE

PATIENCE_S = 120.0
POLL_S = 1.0
MAX_CHARACTERS = 300


class Probe(NamedTuple):
    """The job's report, or why there is none. `ended` False: it may still come."""

    report: dict[str, Any] | None
    why: str = ""
    ended: bool = True


async def run_probe(site: Site, cluster: Cluster, hello: Hello, runner: Path) -> Probe:
    """Submit one job and wait for its report, two minutes at most.

    Raises WireError, TruncatedAnswer.
    """
    key = f"doctor-{secrets.token_hex(6)}"
    folder = f"{site.root}/batches/{key}"
    try:
        parcel = _parcel(site, cluster, hello, key, runner)
        sent = await cluster.send([parcel], runner=None if hello.has_runner else runner)
        outcome = sent[key]
        if outcome.outcome is not SubmitOutcome.KNOWN:
            return Probe(None, f"sbatch takes no job: {outcome.why[:MAX_CHARACTERS]}")
        return await _await_report(cluster, key, folder)
    except SiteTrouble as trouble:
        return Probe(None, str(trouble))
    finally:
        await cluster.run(["scancel", f"--name={key}"])
        await cluster.run(["rm", "-rf", folder, f"{site.root}/batches/.locks/{key}"])


def _parcel(site: Site, cluster: Cluster, hello: Hello, key: str, runner: Path) -> Parcel:
    asked = asked_for(site.resources, {}, ())
    if hello.limits.largest_array == 0:
        asked = {**asked, ALONE: True}
    script = batch_script(site, 1, asked, runner="probe.py", prelude=cluster.prelude)
    line = {"callback": site.callback or "", "runner": f"{site.root}/bin/{runner.name}"}
    return Parcel(
        key,
        {
            "manifest.jsonl": f"{json.dumps(line)}\n".encode(),
            "probe.py": files("hpc.runner").joinpath("probe.py").read_bytes(),
            "job.sh": script.encode(),
        },
    )


async def _await_report(cluster: Cluster, key: str, folder: str) -> Probe:
    until, waits = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < until:
        await asyncio.sleep(POLL_S)
        shown = await cluster.poll([key], history="disk")
        if text := shown.results.get(f"{key}/probe.json"):
            return Probe(json.loads(text))
        if codes := shown.ended.get(key):
            return Probe(None, await _log_tail(cluster, folder, *codes.values()))
        tasks = shown.queue.tasks if shown.queue else ()
        waits = next((f": {task.word} {task.reason}" for task in tasks), waits)
    return Probe(None, f"the job did not end within {PATIENCE_S:.0f} s{waits}", ended=False)


async def _log_tail(cluster: Cluster, folder: str, *codes: int) -> str:
    """How a job ended without a report, and the end of its log."""
    line = 'cat "$1"/log/slurm-*.out'
    _, output, _ = await cluster.run(["/bin/sh", "-c", line, "sh", folder])
    log = " ".join(output.split())[-MAX_CHARACTERS:] or "it said nothing"
    return f"the job ended with code {max(codes)}: {log}"
