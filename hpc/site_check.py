"""What a doctor finds at a cluster, and says in plain words with a remedy."""

import asyncio
import shlex
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from hpc.cluster import Cluster, Hello
from hpc.remote import Garbled
from hpc.wire.base import Wire
from hpc.wire.errors import WireError
from schemas.sites import Site

SLOW_EXEC_S = 0.25
WRONG_CLOCK_S = 60.0
LITTLE_SPACE_MB = 20_000
PROBES = 5
NODE_PATIENCE_S = 120.0

UNHEARD = (
    "log in by hand and run `true`: a password that has expired, a shell that lets nobody in, a "
    "mistake in the prelude, or start-up files that end the shell or read its stdin"
)

ALMOST = 0.9
QUOTA = """\
if command -v lfs >/dev/null 2>&1 && lfs getname {root} >/dev/null 2>&1; then
    lfs quota -q -u "$(id -un)" {root}
elif command -v quota >/dev/null 2>&1; then
    quota -w
fi
"""

REACH = """\
import sys, urllib.request
urllib.request.urlopen(sys.argv[1] + "/health", timeout=20).read()
print("reached")
"""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `well` None: it could not be told."""

    what: str
    well: bool | None
    found: str
    remedy: str = ""


async def examine(site: Site, wire: Wire, prelude: str, runner: str) -> list[Finding]:
    """Look at everything that work at a site depends on; one job is submitted to it.

    Never raises for what is wrong with the site: that is a finding.
    """
    cluster = Cluster(wire, site.root, prelude)
    try:
        hello = await cluster.hello(runner)
    except (WireError, Garbled) as error:
        remedy = UNHEARD if isinstance(error, Garbled) else " ".join((error.__doc__ or "").split())
        return [Finding("connection", False, str(error), remedy)]
    known = f"logged in as {hello.user}; the host key is one of those pinned: {wire.host_key}"
    findings = [Finding("connection", True, known)]
    findings += [*_host(site, hello), await _quota(site, cluster), await _speed(cluster)]
    findings += _slurm(site, hello)
    findings.append(await _python(site, cluster))
    if hello.answers:
        findings.append(await _node(site, cluster))
    return findings


def _host(site: Site, hello: Hello) -> list[Finding]:
    skew = f"{hello.clock_skew_s:+.0f} s against ours"
    space = "not told" if hello.free_mb is None else f"{hello.free_mb / 1000:.0f} GB free"
    folder = "; ".join(hello.troubles) or f"{site.root} can be written"
    return [
        Finding(
            "clock",
            abs(hello.clock_skew_s) < WRONG_CLOCK_S,
            skew,
            "nothing of ours depends on it, but its times in logs mislead: tell its administrators",
        ),
        Finding(
            "folder",
            not hello.troubles,
            folder,
            "set the site's root to a folder of ours on a disk that all nodes see",
        ),
        Finding(
            "space",
            None if hello.free_mb is None else hello.free_mb > LITTLE_SPACE_MB,
            space,
            "prune the site, or ask for a larger quota; each asset needs about its image's size",
        ),
    ]


async def _quota(site: Site, cluster: Cluster) -> Finding:
    """Our quota where the root lies, by Lustre's word or the system's."""
    line = QUOTA.format(root=shlex.quote(site.root))
    _, output, _ = await cluster.run(["/bin/sh", "-c", line])
    rows = read_quotas(output)
    if not rows:
        return Finding("quota", None, "none is told")
    used, limit = max(rows, key=lambda row: row[0] / row[1])
    return Finding(
        "quota",
        used < ALMOST * limit,
        f"{used / 1e6:.1f} of {limit / 1e6:.1f} GB used",
        "prune the site, or ask its administrators for more; a full quota stops every job",
    )


def read_quotas(output: str) -> list[tuple[int, int]]:
    """What is used and may be used, in kB of 1024 bytes, of each row that has a limit.

    The rows of `quota -w` and `lfs quota -q`: a disk, then kB used (with a star when over),
    soft and hard limit. A soft limit counts where there is one.
    """
    found = []
    for line in output.splitlines():
        words = line.split()
        if len(words) < 4 or not words[1].rstrip("*").isdecimal():
            continue
        if not (words[2].isdecimal() and words[3].isdecimal()):
            continue
        limit = int(words[2]) or int(words[3])
        if limit:
            found.append((int(words[1].rstrip("*")), limit))
    return found


async def _speed(cluster: Cluster) -> Finding:
    took = []
    for _ in range(PROBES):
        began = time.monotonic()
        await cluster.wire.run("true")
        took.append(time.monotonic() - began)
    median = statistics.median(took)
    return Finding(
        "speed",
        median < SLOW_EXEC_S,
        f"{median * 1000:.0f} ms a command",
        "a slow login shell: let ~/.bashrc end early when it is not interactive",
    )


def _slurm(site: Site, hello: Hello) -> list[Finding]:
    limits = hello.limits
    missing = sorted({"tar", "gzip", "sbatch", "squeue", "scancel"} - hello.tools)
    arrays = f"arrays of {limits.max_array}, {limits.max_jobs} jobs in all"
    return [
        Finding(
            "programs",
            not missing,
            f"missing: {', '.join(missing)}" if missing else "all there",
            "set the block's prelude, such as `module load slurm`",
        ),
        Finding(
            "flock",
            "flock" in hello.tools,
            "there" if "flock" in hello.tools else "missing",
            "without util-linux two drivers at once are kept apart less well: run one only",
        ),
        Finding(
            "controller",
            hello.answers,
            f"Slurm {limits.version}, {arrays}" if hello.answers else "slurmctld does not answer",
            "wait, or ask the cluster's administrators",
        ),
        Finding(
            "accounting",
            True if hello.accounting else None,  # one can do without
            "sacct answers" if hello.accounting else "sacct knows nothing",
            f"ends are then known from the queue for {limits.min_job_age_s} s and from exit codes "
            "on the disk: keep the driver running",
        ),
        Finding(
            "array size",
            site.max_array <= limits.max_array,
            f"max_array is {site.max_array}, Slurm's is {limits.max_array}",
            "the smaller one is used; change sites.yaml to say so",
        ),
    ]


async def _python(site: Site, cluster: Cluster) -> Finding:
    words = [site.python or "python3", "-c", "import sys; print(sys.version.split()[0])"]
    code, output, complaint = await cluster.run(words)
    version = output.strip().split("\n")[-1].strip() if output.strip() else ""
    new_enough = code == 0 and tuple(map(int, version.split(".")[:2])) >= (3, 11)
    return Finding(
        "python",
        new_enough,
        f"{site.python} is {version}" if code == 0 else complaint.strip()[-200:],
        "run operate/prepare-site; the runner needs Python 3.11 or newer",
    )


async def _node(site: Site, cluster: Cluster) -> Finding:
    """Whether a job, on a node, reaches our callback address."""
    if site.callback is None:
        return Finding("callback", None, "its nodes have no network: the driver carries for them")
    words = [site.python or "python3", "-c", REACH, site.callback]
    output = await _as_job(site, cluster, shlex.join(words))
    said = output or "the job did not end within two minutes"
    host = urlsplit(site.callback).netloc
    return Finding(
        "callback",
        None if not output else "reached" in said,
        f"a node reaches {host}" if "reached" in said else said[-300:],
        f"open the way from the nodes to {host}, or use an address they reach",
    )


async def _as_job(site: Site, cluster: Cluster, line: str) -> str:
    """Run a line as a job; what it said, or nothing when it did not end in time."""
    name = f"doctor-{time.time_ns():x}"
    asked = site.resources
    options = {"partition": asked.partition, "account": asked.account, "qos": asked.qos}
    given = [f"--{key}={value}" for key, value in options.items() if value]
    path = f"{site.root}/incoming/{name}"
    words = ["sbatch", "--parsable", f"--job-name={name}", f"--output={path}", "--time=2", *given]
    code, _, complaint = await cluster.run([*words, f"--wrap={line} 2>&1; echo ended"])
    if code != 0:
        return complaint.strip()
    try:
        return await _output(cluster, path)
    finally:
        await cluster.run(["scancel", f"--name={name}"])
        await cluster.run(["rm", "-f", path])


async def _output(cluster: Cluster, path: str) -> str:
    until = time.monotonic() + NODE_PATIENCE_S
    while time.monotonic() < until:
        await asyncio.sleep(1.0)
        _, output, _ = await cluster.run(["cat", path])
        if "ended" in output.split():
            return output
    return ""


def summary(findings: Sequence[Finding]) -> str:
    """One line: well, or what is not."""
    bad = [finding.what for finding in findings if finding.well is False]
    return f"not well: {', '.join(bad)}" if bad else "well"
