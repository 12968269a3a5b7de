"""What the server is told about an error: whether another try can help, and why."""

import errno
import signal

import pytest

from hpc.runner.errors import BadInput, NotPrepared, Refused, Transient
from hpc.runner.job import result
from hpc.runner.outcome import RunOutcome, UsageMeter, failure_of
from hpc.runner.signals import Signals


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (BadInput("sheet.tif: is empty"), "ERROR", "sheet.tif"),
        (Refused("no", 404), "ERROR", "no"),
        (Transient("share closed"), "RETRY", "share closed"),
        (NotPrepared("lacks rapidocr"), "RETRY", "rapidocr"),
        (MemoryError(), "RETRY", "memory"),
        (OSError(errno.ENOSPC, "No space left on device", "x.tif"), "RETRY", "No space left"),
        (ImportError("libvips.so"), "RETRY", "library"),
        (KeyError("width"), "ERROR", "error in the module itself: KeyError"),
    ],
)
def test_an_error_becomes_a_verdict(error: BaseException, status: str, word: str) -> None:
    failure = failure_of(error)
    assert failure["fail_status"] == status
    assert word in failure["message"]
    assert failure["exception"].startswith(type(error).__name__)


def test_an_error_of_our_own_keeps_its_traceback() -> None:
    with (verdict := RunOutcome()):
        [][0]
    assert verdict.failure is not None
    assert "test_outcome.py" in verdict.failure["exception"]


def test_a_result_is_measured() -> None:
    with (verdict := RunOutcome()):
        verdict.result = result()
    assert verdict.result is not None
    assert set(verdict.result["usage"]) == {"seconds", "cpu_s", "max_rss_mb"}
    assert verdict.result["usage"]["max_rss_mb"] > 1


def test_the_peak_of_one_image_is_not_laid_to_the_next() -> None:
    large = UsageMeter()
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    first = large.so_far()["max_rss_mb"]
    del block
    second = UsageMeter().so_far()["max_rss_mb"]
    assert first > second + 200


def test_a_signal_interrupts_a_module_but_not_a_delivery() -> None:
    signals = Signals()
    signals.on_signal(signal.SIGTERM, None)
    assert signals.hurry()
    with (verdict := RunOutcome()), signals.interruptible():
        pytest.fail("a job that was told to end must not begin")
    assert (verdict.result, verdict.failure) == (None, None)
