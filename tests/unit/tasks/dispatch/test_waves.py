"""Which jobs share a subflow, in which order they are shown, and what stands for all of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Completed, Failed

from tasks.dispatch.runs import MAX_LINES, MAX_LOGS, printed_lines, summary
from tasks.dispatch.waves import AUTO, CUT_OFF, MAX_JOBS, Unshown, Wave, Work
from track.jobs.claims import Claim
from track.reports.printed import PrintedEnd


@flow(name="module")
async def module(claim: Claim) -> None:
    """Stands for any flow of ours."""


async def nothing() -> None:
    """A work that is done at once."""


def claim(
    n: int, stage: str = "ocr", *, position: int = 1, wave: int = 1, back: bool = False
) -> Claim:
    return Claim(n, f"g{n}", stage, "module", stage, "P", None, position, wave, back)


def work(found: Claim, does: Callable[[], Awaitable[Any]] = nothing) -> Work:
    return Work(found, module, asyncio.ensure_future(does()))


async def ended(*results: object) -> Wave:
    """A wave whose works ended with these: a state, nothing, or an error that is raised."""

    def ends_with(result: object) -> Callable[[], Awaitable[object]]:
        async def does() -> object:
            if isinstance(result, BaseException):
                raise result
            return result

        return does

    wave = Wave([work(claim(n), ends_with(each)) for n, each in enumerate(results)])
    await asyncio.gather(*(each.task for each in wave.works), return_exceptions=True)
    await asyncio.sleep(0)
    return wave


def jobs(wave: Wave | None) -> list[int]:
    return [] if wave is None else [each.claim.job_id for each in wave.works]


async def test_each_job_has_a_subflow_of_its_own_unless_its_stage_says_otherwise() -> None:
    unshown = Unshown()
    for n in range(3):
        unshown.add(work(claim(n)))
    assert [jobs(unshown.take(crowded=True)) for _ in range(4)] == [[0], [1], [2], []]


async def test_a_wave_takes_up_to_so_many_jobs_of_one_stage() -> None:
    unshown = Unshown()
    for n in range(5):
        unshown.add(work(claim(n, wave=3)))
    unshown.add(work(claim(9, "crop", wave=3)))
    assert len(unshown) == 6
    waves = [jobs(unshown.take(crowded=False)) for _ in range(4)]
    assert sorted(waves) == [[], [0, 1, 2], [3, 4], [9]]


async def test_auto_shares_a_subflow_only_where_prefect_is_crowded() -> None:
    unshown = Unshown()
    for n in range(MAX_JOBS + 3):
        unshown.add(work(claim(n, wave=AUTO)))
    assert len(jobs(unshown.take(crowded=False))) == 1
    assert len(jobs(unshown.take(crowded=True))) == MAX_JOBS
    assert len(jobs(unshown.take(crowded=True))) == 2


async def test_later_stages_are_shown_first_and_of_one_what_came_back_before_what_is_new() -> None:
    unshown = Unshown()
    unshown.add(work(claim(1, "load", position=0)))
    unshown.add(work(claim(2, "ocr", position=2)))
    unshown.add(work(claim(3, "ocr", position=2, back=True)))
    unshown.add(work(claim(4, "crop", position=1)))
    assert [jobs(unshown.take(crowded=False)) for _ in range(4)] == [[3], [2], [4], [1]]


async def test_a_wave_is_over_when_the_last_of_its_works_is() -> None:
    go = [asyncio.Event(), asyncio.Event()]
    wave = Wave([work(claim(n), each.wait) for n, each in enumerate(go)])
    over: list[Wave] = []
    wave.on_end(over.append)
    go[1].set()
    await wave.works[1].task
    await asyncio.sleep(0)
    assert not wave.over and over == []
    go[0].set()
    await wave.works[0].task
    await asyncio.sleep(0)
    assert wave.over and over == [wave]


async def test_one_job_ends_its_subflow_as_its_flow_says() -> None:
    wave = await ended(Completed(name="Parked", message="its site has it"))
    assert wave.name == "g0 ocr"
    state = wave.state(late=False)
    assert (state.name, state.message) == ("Parked", "its site has it")
    late = wave.state(late=True).message
    assert late is not None and late.startswith("its site has it; done at ")


async def test_an_error_fails_its_subflow_with_its_kind_and_text() -> None:
    state = (await ended(ValueError("no such file"))).state(late=False)
    assert (state.type, state.message) == (StateType.FAILED, "ValueError: no such file")


async def test_what_was_stopped_is_no_failure_of_the_specimen() -> None:
    wave = Wave([work(claim(1), asyncio.Event().wait)])
    wave.works[0].task.cancel()
    await asyncio.wait([wave.works[0].task])
    await asyncio.sleep(0)
    state = wave.state(late=False)
    assert (state.type, state.message) == (StateType.CRASHED, CUT_OFF)


ASKED = Cancelled(message="as asked")
PARKED = Completed(name="Parked")


@pytest.mark.parametrize(
    ("ends", "type_", "name", "message"),
    [
        ([None, None], "COMPLETED", "Completed", "2 completed"),
        ([PARKED, PARKED], "COMPLETED", "Parked", "2 parked"),
        ([None, PARKED], "COMPLETED", "Completed", "1 completed, 1 parked"),
        ([None, Failed(message="no")], "FAILED", "Failed", "1 completed, 1 failed; g1: no"),
        ([ASKED], "CANCELLED", "Cancelled", "as asked"),
        ([ASKED, ASKED], "CANCELLED", "Cancelled", "2 cancelled; g0: as asked; g1: as asked"),
        ([None, ASKED], "COMPLETED", "Completed", "1 completed, 1 cancelled; g1: as asked"),
    ],
)
async def test_the_worst_end_stands_for_all_and_the_counts_are_named(
    ends: list[State[Any] | None], type_: str, name: str, message: str
) -> None:
    wave = await ended(*ends)
    state = wave.state(late=False)
    assert (state.type.value, state.name, state.message) == (type_, name, message)


async def test_several_are_named_by_their_stage_and_how_many() -> None:
    assert (await ended(None, None)).name == "ocr × 2"


async def test_its_summary_has_the_counts_and_then_what_did_not_go_well() -> None:
    wave = await ended(None, Failed(message="a <blurred>\nlabel"), None)
    assert summary(wave).splitlines() == [
        "**ocr** of 3 specimens: 2 completed, 1 failed.",
        "",
        "- `g1` Failed: a &lt;blurred&gt; label",
    ]
    many = summary(await ended(*[Failed(message="x")] * (MAX_LINES + 5)))
    assert many.endswith("and 5 more")
    assert "- " not in summary(await ended(None, None))


async def test_what_one_job_printed_goes_to_its_log_as_an_error_if_it_failed() -> None:
    wave = await ended(None)
    (line,) = printed_lines(wave, {0: PrintedEnd(2, "s", "done", "4711_3", "all is well")})
    assert line.level == logging.INFO
    assert line.message == ("ocr of g0, attempt 2 at s as 4711_3, done, printed last:\nall is well")
    (line,) = printed_lines(wave, {0: PrintedEnd(1, "s", "failed", None, "no")})
    assert line.level == logging.ERROR and "at s, failed, printed last:\nno" in line.message
    (line,) = printed_lines(wave, {0: PrintedEnd(1, "s", "timeout", "9", "")})
    assert line.message.endswith("at s as 9, timeout, it printed nothing before it ended")


async def test_of_several_jobs_only_what_failed_is_shown_of_what_they_printed() -> None:
    wave = await ended(*[None] * 60)
    ends = {n: PrintedEnd(1, "s", "failed" if n % 2 else "done", None, "x") for n in range(60)}
    lines = printed_lines(wave, ends)
    assert len(lines) == MAX_LOGS and {line.level for line in lines} == {logging.ERROR}
    assert "ocr of g1, " in lines[0].message


async def test_a_work_whose_site_still_has_its_job_saw_no_end_of_it() -> None:
    for state, may in ((PARKED, False), (Completed(name="Retrying"), True)):
        (work,) = (await ended(state)).works
        assert work.may_have_printed is may
