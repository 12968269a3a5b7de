"""A real Slurm on this machine: munged, slurmctld and slurmd as children, an sshd before them.

On free ports, in a folder of its own; whatever it started is ended by its own process ids.
Partition `main` runs jobs, `parked` only queues them, and those of `main` make room for `urgent`.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.lab import sshd as ssh_server
from demo.lab.sshd import Sshd, running_sshd
from refinery.addresses import LOOPBACK, unused_port
from refinery.waiting import Waiting

log = logging.getLogger(__name__)

PROGRAMS = ("munged", "slurmctld", "slurmd")
MISSING = (
    "Slurm is not installed: run `bash tests/debian-packages.sh` (munge, slurmctld, slurmd, "
    "slurm-client, openssh-server)"
)
MESSAGE_TIMEOUT_S = 4
MIN_JOB_AGE_S = 8
MAX_COMMAND_SECONDS = 120.0
"""Far more than one of Slurm's commands needs, also on a slow machine with much to do."""
NODES = ("n1", "n2")


def installed() -> bool:
    """Whether a lab can be built here."""
    return ssh_server.installed() and all(_program(name) for name in PROGRAMS)


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@dataclass(frozen=True)
class Record:
    """A job that ended, by Slurm's own completion log. `line` is an array task's number."""

    name: str
    array: str
    line: str
    state: str

    @property
    def task(self) -> str:
        """Name and line: one member of one batch."""
        return f"{self.name} {self.line}"


@dataclass
class SlurmLab:
    """The running lab. `conf` is its slurm.conf, `sshd` the way in.

    Each node has `cpus` processors, whatever this machine has; `given` is set for all daemons.
    """

    folder: Path
    cpus: int = 64
    given: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sshd: Sshd = field(init=False)

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find this cluster."""
        return {"SLURM_CONF": str(self.conf)}

    def run(self, *command: str, check: bool = True) -> str:
        """One of Slurm's commands on this cluster; its stdout."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=MAX_COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def root(self, name: str) -> Path:
        """A folder to be a site's root."""
        path = self.folder / "sites" / name
        path.mkdir(parents=True)
        return path

    def job_ids(self, name: str) -> list[str]:
        """The array jobs that were ever accepted under a name, by Slurm's own records."""
        shown = self.run("squeue", "-h", "-t", "all", f"--name={name}", "-o", "%F").split()
        return sorted({*shown, *(each.array for each in self.records() if each.name == name)})

    def records(self) -> list[Record]:
        """The completion log, which also keeps what squeue shows no more."""
        path = self.folder / "jobcomp.txt"
        found = []
        for line in path.read_text().splitlines() if path.exists() else []:
            facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
            array = facts.get("ArrayJobId", "0")
            in_array = array not in ("", "0")
            found.append(
                Record(
                    name=facts.get("Name", ""),
                    array=array if in_array else facts["JobId"],
                    line=facts.get("ArrayTaskId", "") if in_array else "",
                    state=facts.get("JobState", ""),
                )
            )
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

    def lose_state(self) -> None:
        """Let the controller begin anew without any memory: its job ids begin at 1 again.

        Its completion log begins anew too, for it would tell of other jobs under the same ids.
        """
        process = self.processes["slurmctld"]
        process.terminate()
        process.wait(MAX_COMMAND_SECONDS)
        shutil.rmtree(self.folder / "state")
        (self.folder / "state").mkdir()
        (self.folder / "jobcomp.txt").unlink(missing_ok=True)
        self._spawn("slurmctld", "-D", "-i")
        self._until("slurmctld", self._idle)

    def log(self, name: str) -> str:
        """What a daemon wrote."""
        path = self.folder / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name.replace('/', '-')}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [_program(name.split("/")[0]) or name, *command],
                env={**os.environ, **self.environment, **self.given},
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
        self.conf.write_text(_configuration(self.folder, self.cpus))
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
        waiting = Waiting(name, log.warning, log=self.folder / "log")
        while not ready():
            for each, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{each} ended while starting: {self._last_words(each)}")
            waiting.go_on()
            time.sleep(0.05)

    def _last_words(self, name: str) -> str:
        out = self.folder / "log" / f"{name.replace('/', '-')}.out"
        return f"{out.read_text(errors='replace')}\n{self.log(name)[-2000:]}"

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
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)

    def _await_empty(self) -> None:
        """A job's shepherd outlives slurmd; so no daemon ends before the last job."""
        until = time.monotonic() + 30
        busy = ("squeue", "-h", "-t", "running,completing")
        while self.run(*busy, check=False).strip() and time.monotonic() < until:
            time.sleep(0.1)


def _configuration(folder: Path, cpus: int) -> str:
    host = socket.gethostname().split(".")[0]
    user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    ports: dict[str, int] = {}
    for daemon in (*NODES, "slurmctld"):
        ports[daemon] = unused_port(LOOPBACK, besides=ports.values())
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[node]} "
        f"CPUs={cpus} RealMemory=4000 State=UNKNOWN"
        for node in NODES
    )
    return f"""\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports["slurmctld"]}
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
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
PartitionName=parked Nodes=ALL MaxTime=INFINITE State=DOWN
"""


@contextmanager
def running_lab(
    *, cpus: int = 64, environment: Mapping[str, str] | None = None
) -> Iterator[SlurmLab]:
    """A lab with its sshd, started and ended; all its processes see `environment` as well."""
    # Short: a socket's path has little room.
    folder = Path(tempfile.mkdtemp(prefix="slurm-lab-"))
    folder.chmod(0o755)
    lab = SlurmLab(folder, cpus, dict(environment or {}))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(lab.stop)
        lab.start()
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin"
        seen = {**lab.environment, "PATH": path}
        lab.sshd = stack.enter_context(
            running_sshd(folder / "sshd", environment=seen, given=lab.given)
        )
        yield lab
