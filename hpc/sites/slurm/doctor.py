"""Checks a cluster and reports what it finds in plain words, with a remedy."""

import re
import shlex
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hpc.remote import TruncatedAnswer
from hpc.sites.slurm.answers import Hello
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.probe import run_probe
from hpc.transport.errors import WireError
from hpc.transport.ssh import SshLink
from schemas.sites import Site

MAX_COMMAND_S = 0.25
MAX_SKEW_S = 60.0
MIN_SPACE_MB = 20_000
PROBES = 5

NO_ANSWER = (
    "log in by hand and run `true`: a password that has expired, a shell that lets nobody in, a "
    "mistake in the prelude, or start-up files that end the shell or read its stdin"
)

MAX_QUOTA_SHARE = 0.9
QUOTA = """\
if command -v lfs >/dev/null 2>&1 && lfs getname {root} >/dev/null 2>&1; then
    lfs quota -q -u "$(id -un)" {root}
elif command -v quota >/dev/null 2>&1; then
    quota -w
fi
"""


@dataclass(frozen=True)
class SiteFinding:
    """One thing checked. `well` None: it could not be found out."""

    what: str
    well: bool | None
    found: str
    remedy: str = ""


async def examine(site: Site, wire: SshLink, prelude: str, runner: Path) -> list[SiteFinding]:
    """Check everything that work at a site depends on; one job is submitted to it.

    Never raises for what is wrong with the site: that is a finding.
    """
    findings: list[SiteFinding] = []
    try:
        await _examine(findings, site, Cluster(wire, site.root, prelude), runner)
    except TruncatedAnswer as error:
        findings.append(SiteFinding("connection", False, str(error), NO_ANSWER))
    except WireError as error:
        remedy = " ".join((error.__doc__ or "").split())
        findings.append(SiteFinding("connection", False, str(error), remedy))
    return findings


async def _examine(findings: list[SiteFinding], site: Site, cluster: Cluster, runner: Path) -> None:
    """Add one finding after the other. Raises WireError, TruncatedAnswer."""
    hello = await cluster.hello(runner.name)
    key = f"the host key is one of those pinned: {cluster.wire.host_key}"
    findings.append(SiteFinding("connection", True, f"logged in as {hello.user}; {key}"))
    findings += [*_host(site, hello), await _quota(site, cluster), await _speed(cluster)]
    findings += _slurm(site, hello)
    findings += [*await _prelude(cluster), await _python(site, cluster)]
    if hello.answers and not hello.troubles:
        findings += await _node(site, cluster, hello, runner)


def _host(site: Site, hello: Hello) -> list[SiteFinding]:
    skew = f"{hello.clock_skew_s:+.0f} s against ours"
    space = "not told" if hello.free_mb is None else f"{hello.free_mb / 1000:.0f} GB free"
    folder = "; ".join(hello.troubles) or f"{site.root} can be written"
    return [
        SiteFinding(
            "clock",
            abs(hello.clock_skew_s) < MAX_SKEW_S,
            skew,
            "nothing of ours depends on it, but its times in logs mislead: tell its administrators",
        ),
        SiteFinding(
            "folder",
            not hello.troubles,
            folder,
            "set the site's root to a folder of ours on a disk that all nodes see",
        ),
        SiteFinding(
            "space",
            None if hello.free_mb is None else hello.free_mb > MIN_SPACE_MB,
            space,
            "prune the site, or ask for a larger quota; each asset needs about its image's size",
        ),
    ]


async def _quota(site: Site, cluster: Cluster) -> SiteFinding:
    """Our quota where the root lies, as Lustre or the system reports it."""
    line = QUOTA.format(root=shlex.quote(site.root))
    _, output, _ = await cluster.run(["/bin/sh", "-c", line])
    rows = read_quotas(output)
    if not rows:
        return SiteFinding("quota", None, "none is told")
    used, limit = max(rows, key=lambda row: row[0] / row[1])
    return SiteFinding(
        "quota",
        used < MAX_QUOTA_SHARE * limit,
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
        if len(words) < 4:
            continue
        used, soft, hard = words[1].rstrip("*"), words[2], words[3]
        if used.isdecimal() and soft.isdecimal() and hard.isdecimal():
            found.append((int(used), int(soft) or int(hard)))
    return [row for row in found if row[1]]


async def _speed(cluster: Cluster) -> SiteFinding:
    took = []
    for _ in range(PROBES):
        began = time.monotonic()
        await cluster.wire.run("true")
        took.append(time.monotonic() - began)
    median = statistics.median(took)
    return SiteFinding(
        "speed",
        median < MAX_COMMAND_S,
        f"{median * 1000:.0f} ms a command",
        "a slow login shell: let ~/.bashrc end early when it is not interactive",
    )


def _slurm(site: Site, hello: Hello) -> list[SiteFinding]:
    limits = hello.limits
    mute = "slurmctld does not answer" if "scontrol" in hello.tools else "there is no scontrol"
    arrays = f"arrays of {limits.max_array}, {limits.max_jobs} jobs in all"
    return [
        SiteFinding(
            "programs",
            not hello.missing,
            f"missing: {', '.join(hello.missing)}" if hello.missing else "all there",
            hello.remedy,
        ),
        SiteFinding(
            "flock",
            "flock" in hello.tools,
            "there" if "flock" in hello.tools else "missing",
            "without util-linux two drivers at once are kept apart less well: run one only",
        ),
        SiteFinding(
            "controller",
            hello.answers,
            f"Slurm {limits.version}, {arrays}" if hello.answers else mute,
            "wait, or ask the cluster's administrators",
        ),
        SiteFinding(
            "accounting",
            True if hello.accounting else None,  # one can do without
            "sacct answers" if hello.accounting else "sacct knows nothing",
            f"ends are then known from the queue for {limits.min_job_age_s} s and from exit codes "
            "on the disk: keep the driver running",
        ),
        SiteFinding(
            "array size",
            site.max_array <= limits.max_array,
            f"max_array is {site.max_array}, Slurm's is {limits.max_array}",
            "the smaller one is used; change sites.yaml to say so",
        ),
    ]


async def _python(site: Site, cluster: Cluster) -> SiteFinding:
    words = [site.python or "python3", "-c", "import sys; print(sys.version.split()[0])"]
    code, output, complaint = await cluster.run(words)
    version = output.strip().rpartition("\n")[2].strip()
    found = re.match(r"(\d+)\.(\d+)", version)
    new_enough = code == 0 and found is not None and (int(found[1]), int(found[2])) >= (3, 11)
    return SiteFinding(
        "python",
        new_enough,
        f"{site.python} is {version}" if code == 0 else complaint.strip()[-200:],
        "run operate/prepare-site; the runner needs Python 3.11 or newer",
    )


async def _prelude(cluster: Cluster) -> list[SiteFinding]:
    """What the prelude prints when it runs where a job begins: with hardly any environment."""
    if not cluster.prelude.strip():
        return []
    line = 'exec env -i PATH="$PATH" HOME="$HOME" USER="$USER" /bin/sh -c "$1"'
    bare = Cluster(cluster.wire, cluster.root)
    code, _, complaint = await bare.run(["/bin/sh", "-c", line, "sh", cluster.prelude])
    printed = " ".join(complaint.split())[-300:]
    well = False if code else None if printed else True
    return [
        SiteFinding(
            "prelude",
            well,
            printed or (f"it ends with code {code}" if code else "runs without a word"),
            "it runs in /bin/sh before every command and in every job, without your own start-up "
            "files: begin it with what defines its commands, such as `. /etc/profile`",
        )
    ]


async def _node(site: Site, cluster: Cluster, hello: Hello, runner: Path) -> list[SiteFinding]:
    """Whether a job, submitted as the driver does it, runs on a node and reaches us."""
    probe = await run_probe(site, cluster, hello, runner)
    if probe.report is None:
        remedy = (
            "real jobs would fare the same: see the site's `python`, `resources` and prelude. What "
            "is set in start-up files reaches no job, what the prelude exports does"
            if probe.ended
            else "the queue is long or its partition is closed: ask again later"
        )
        return [SiteFinding("job", False if probe.ended else None, probe.why, remedy)]
    return node_findings(site, probe.report)


def node_findings(site: Site, report: Mapping[str, Any]) -> list[SiteFinding]:
    """What the doctor's job reports of its node."""
    modules = report["modules"]
    missing = sorted({each for names in modules.get("missing", {}).values() for each in names})
    lacks = modules.get("trouble") or ("lacks " + ", ".join(missing) if missing else "")
    ran = f"ran on {report['host']} under Python {report['python']}"
    findings = [
        SiteFinding("job", True, ran),
        SiteFinding(
            "modules", not lacks, lacks or "a node runs every module", "operate/prepare-site"
        ),
    ]
    if site.callback is None:
        carried = "its nodes have no network: the driver carries for them"
        return [*findings, SiteFinding("callback", None, carried)]
    host, why = urlsplit(site.callback).netloc, report["callback"]
    remedy = f"open the way from the nodes to {host}, or use an address they reach"
    return [*findings, SiteFinding("callback", not why, why or f"a node reaches {host}", remedy)]


def summary(findings: Sequence[SiteFinding]) -> str:
    """One line: well, or what is not."""
    bad = [finding.what for finding in findings if finding.well is False]
    return f"not well: {', '.join(bad)}" if bad else "well"
