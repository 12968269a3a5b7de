"""What is done beside: how it breaks is heard of at once, and what lasts goes on."""

import asyncio
import logging

import pytest

from schemas.backoff import Backoff
from tasks import background
from tasks.background import begin, keep


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSES", Backoff(0.001, 0.001))


async def breaks() -> None:
    """Something that nobody has foreseen."""
    raise KeyError("unforeseen")


async def test_how_it_breaks_is_logged_though_nobody_awaits_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await asyncio.wait([begin(breaks(), "the look at the moon")])
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.CRITICAL, "the look at the moon broke")
    assert record.exc_info is not None and isinstance(record.exc_info[1], KeyError)


async def test_what_lasts_begins_again_and_each_time_it_breaks_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[int] = []

    async def lasts() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            await breaks()

    await asyncio.wait_for(keep(lasts, "the look at the moon"), 10)
    assert begun == [0, 1, 2]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["the look at the moon broke; it begins again in 0 s"] * 2


async def test_what_is_cancelled_is_over_and_needs_no_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = keep(asyncio.Event().wait, "the look at the moon")  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []
