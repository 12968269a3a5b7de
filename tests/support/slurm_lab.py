"""A real Slurm on this machine: munged, slurmctld and slurmd as children, an sshd before them.

One lab per pytest process, on free ports, in a folder of its own; whatever it started is
ended by its own process ids. Partition `main` runs jobs, `parked` only queues them.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import sshd as sshd_support
from tests.support.ports import free_port
from tests.support.sshd import Sshd, running_sshd

PROGRAMS = ("munged", "slurmctld", "slurmd")
MISSING = (
    "Slurm is not installed: run `bash tests/debian-packages.sh` (munge, slurmctld, slurmd, "
    "slurm-client, openssh-server)"
)
MESSAGE_TIMEOUT_S = 4
MIN_JOB_AGE_S = 8
NODES = ("n1", "n2")
LAB = pytest.StashKey["SlurmLab"]()


def installed() -> bool:
    """Whether a lab can be built here."""
    return sshd_support.installed() and all(_program(name) for name in PROGRAMS)


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@dataclass
class SlurmLab:
    """The running lab. `conf` is its slurm.conf, `sshd` the way in."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sshd: Sshd = field(init=False)

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find this cluster."""
        return {"SLURM_CONF": str(self.conf)}

    def run(self, *words: str, check: bool = True) -> str:
        """One of Slurm's commands on this cluster; its stdout."""
        done = subprocess.run(
            words,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{words}: {done.stderr}")
        return done.stdout

    def root(self, name: str) -> Path:
        """A folder to be a site's root."""
        path = self.folder / "sites" / name
        path.mkdir(parents=True)
        return path

    def job_ids(self, name: str) -> list[str]:
        """The array jobs that were ever accepted under a name, by Slurm's own records."""
        shown = self.run("squeue", "-h", "-t", "all", f"--name={name}", "-o", "%F").split()
        return sorted({*shown, *self._completed(name)})

    def _completed(self, name: str) -> list[str]:
        """From the completion log, which also keeps what squeue shows no more."""
        records = self.folder / "jobcomp.txt"
        found = []
        for line in records.read_text().splitlines() if records.exists() else []:
            facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if facts.get("Name") == name:
                array = facts.get("ArrayJobId", "0")
                found.append(facts["JobId"] if array in ("", "0") else array)
        return found

    def states(self, name: str) -> list[str]:
        """The states squeue shows of a name's tasks."""
        return self.run("squeue", "-h", "-r", "-t", "all", f"--name={name}", "-o", "%T").split()

    def cancel_all(self) -> None:
        """End every job, between tests."""
        ids = set(self.run("squeue", "-h", "-o", "%F").split())
        if ids:
            self.run("scancel", *ids, check=False)

    @contextmanager
    def stopped(self, name: str = "slurmctld") -> Iterator[None]:
        """A daemon that does not answer for a while, and then goes on as if nothing happened."""
        process = self.processes[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def log(self, name: str) -> str:
        """What a daemon wrote."""
        path = self.folder / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _spawn(self, name: str, *words: str) -> None:
        with (self.folder / "log" / f"{name.replace('/', '-')}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [_program(name.split("/")[0]) or name, *words],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def start(self) -> None:
        """Start the daemons and wait until the nodes are idle."""
        for name in ("run", "log", "state", "spool", "munge", "sites"):
            (self.folder / name).mkdir()
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "munge").chmod(0o700)
        self.conf.write_text(_configuration(self.folder))
        self._spawn(
            "munged",
            *("--force", "--foreground", "--num-threads=4"),
            *(f"--key-file={key}", f"--socket={self.folder}/run/munge.sock"),
            *(f"--pid-file={self.folder}/run/munged.pid", f"--seed-file={self.folder}/munge/seed"),
            f"--log-file={self.folder}/log/munged.log",
        )
        self._until("munged", lambda: (self.folder / "run" / "munge.sock").exists())
        self._spawn("slurmctld", "-D", "-i")
        for node in NODES:
            self._spawn(f"slurmd/{node}", "-D", "-N", node)
        self._until("slurmctld", self._idle)

    def _idle(self) -> bool:
        states = self.run("sinfo", "-h", "-p", "main", "-N", "-o", "%T", check=False).split()
        return states == ["idle"] * len(NODES)

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        while not ready():
            if self.processes[name].poll() is not None or time.monotonic() > until:
                out = (self.folder / "log" / f"{name}.out").read_text(errors="replace")
                raise RuntimeError(f"{name} did not come up: {out}\n{self.log(name)[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End all jobs, then the daemons in reverse, each by its own process id."""
        if "slurmctld" in self.processes and self.processes["slurmctld"].poll() is None:
            self.processes["slurmctld"].send_signal(signal.SIGCONT)
            self.cancel_all()
            self._await_empty()
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def _await_empty(self) -> None:
        """A job's shepherd outlives slurmd; so no daemon ends before the last job."""
        until = time.monotonic() + 10
        busy = ("squeue", "-h", "-t", "running,completing")
        while self.run(*busy, check=False).strip() and time.monotonic() < until:
            time.sleep(0.1)


def _configuration(folder: Path) -> str:
    host = socket.gethostname().split(".")[0]
    user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    ports = {node: free_port() for node in NODES}
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[node]} "
        "CPUs=64 RealMemory=4000 State=UNKNOWN"
        for node in NODES
    )
    return f"""\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={free_port()}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/run/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobcomp.txt
MailProg=/bin/true
MinJobAge={MIN_JOB_AGE_S}
MessageTimeout={MESSAGE_TIMEOUT_S}
MaxArraySize=10001
MaxJobCount=50000
KillWait=2
SlurmdTimeout=20
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=parked Nodes=ALL MaxTime=INFINITE State=DOWN
"""


@contextmanager
def running_lab() -> Iterator[SlurmLab]:
    """A lab with its sshd, started and ended."""
    # Short: a socket's path has little room.
    folder = Path(tempfile.mkdtemp(prefix="slurm-lab-"))
    folder.chmod(0o755)
    lab = SlurmLab(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(lab.stop)
        lab.start()
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin"
        environment = {**lab.environment, "PATH": path}
        lab.sshd = stack.enter_context(running_sshd(folder / "sshd", environment=environment))
        yield lab


@pytest.fixture(scope="session")
def slurm_lab(request: pytest.FixtureRequest) -> SlurmLab:
    """The one lab of this pytest process, whichever folders' tests ask for it."""
    if not installed():
        pytest.skip(MISSING)
    config = request.config
    if LAB not in config.stash:
        stack = ExitStack()
        config.stash[LAB] = stack.enter_context(running_lab())
        config.add_cleanup(stack.close)
    return config.stash[LAB]


@pytest.fixture
def lab(slurm_lab: SlurmLab) -> Iterator[SlurmLab]:
    """The lab, with no job left over afterwards."""
    yield slurm_lab
    slurm_lab.cancel_all()
