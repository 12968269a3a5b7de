"""What became of a module's run, in the server's terms.

One bad line must not take its neighbours along, so every exception ends here and becomes a
`fail` that says whether another try can help. Nothing is swallowed: an error of our own is
reported with its traceback.
"""

import resource
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from hpc.runner.errors import CommandFailed, JobError, Terminated
from hpc.runner.job import Result

MAX_TRACE = 4000


class UsageMeter:
    """What this process used since the object was made, and what was added of its children.

    `max_rss_mb` is the peak since then too, where the kernel lets a process start its own
    count anew; elsewhere the peak of the whole process. Of a child it is its largest process's.
    """

    def __init__(self) -> None:
        self._began, self._cpu_before = time.monotonic(), time.process_time()
        self._children_cpu_s, self._children_kib = 0.0, 0
        # Fails on old kernels and in some containers; then the peak is the process's.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def add(self, child: resource.struct_rusage) -> None:
        """Count what a child used that has ended, with all that it had waited for."""
        self._children_cpu_s += child.ru_utime + child.ru_stime
        self._children_kib = max(self._children_kib, child.ru_maxrss)

    def so_far(self) -> dict[str, float]:
        """Wall seconds, CPU seconds and peak resident memory in MB of 10^6 bytes."""
        return {
            "seconds": round(time.monotonic() - self._began, 3),
            "cpu_s": round(time.process_time() - self._cpu_before + self._children_cpu_s, 3),
            "max_rss_mb": round(max(_peak_kib(), self._children_kib) * 1024 / 1_000_000, 1),
        }


def _peak_kib() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class RunOutcome(AbstractContextManager["RunOutcome"]):
    """Surrounds a run: afterwards `result` or `failure` is set, and neither if a signal ended it.

    `usage` meters it. A signal does not name its sender, so that is no failure.
    """

    def __init__(self) -> None:
        self.result: Result | None = None
        self.failure: dict[str, Any] | None = None
        self.usage = UsageMeter()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if error is None:
            if self.result is not None:
                self.result["usage"] = self.usage.so_far()
            return False
        self.result = None
        if isinstance(error, Exception):
            self.failure = {**failure_of(error), "usage": self.usage.so_far()}
        return isinstance(error, Exception | Terminated)


def failure_of(error: BaseException) -> dict[str, Any]:
    """The `fail` body for `error`, without native id, nonce and usage."""
    match error:
        case JobError():
            status, message = error.fail_status, str(error)
        case MemoryError():
            status = "RETRY"
            message = f"not enough memory; raise the stage's resources.mem ({error})"
        case ImportError():
            status = "RETRY"
            message = f"a library does not load on this site; prepare the site again ({error})"
        case OSError():
            status, message = "RETRY", f"the site's disk or network: {error}"
        case _:
            status = "ERROR"
            message = f"an error in the module itself: {type(error).__name__}: {error}"
    exception = type(error).__name__
    if not isinstance(error, JobError):  # our own need no traceback
        import traceback

        exception += "\n" + "".join(traceback.format_exception(error))[-MAX_TRACE:]
    code = error.exit_code if isinstance(error, CommandFailed) else None
    return {"fail_status": status, "message": message, "exception": exception, "exit_code": code}
