"""A running system of which parts are killed and stay dead: its people are told, once each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from demo.lab.victims import kill, service
from tests.support.people import People
from tests.support.stack import Stack

RECONCILE = "reconcile/every-minute"
KNOWN = "SELECT 1 FROM track.history WHERE what = 'alarm.service.watch'"
AT_ONCE = {"looks": 1, "pause_s": 0}
HEARD = ("service watch is silent", "archive ars is down")
OVER = ("service watch is heard of again", "archive ars is up again")


@contextmanager
def kept_dead(stack: Stack, *names: str) -> Iterator[None]:
    """Kill services whenever they live, until the block ends; then they are started again."""
    over = threading.Event()

    def kills() -> None:
        while not over.wait(0.05):
            kill([pid for name in names for pid in service(stack.settings, name)])

    killer = threading.Thread(target=kills)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def look(stack: Stack) -> None:
    """Have reconcile look once, at once."""
    run = stack.prefect.run(RECONCILE, alarms=AT_ONCE)
    stack.until(lambda: stack.prefect.is_over(run), "a look of reconcile")


def told_of(stack: Stack, told: People, headlines: tuple[str, ...]) -> None:
    """Have reconcile look until people were told all of these."""

    def everything() -> bool:
        return {*headlines} <= {*told.mailed()} & {*told.posted()}

    while not everything():
        look(stack)
        with suppress(AssertionError):
            told.until(everything, 5)


def test_killed_services_and_their_return_are_told_once_by_mail_and_web_hook(
    stack: Stack, told: People
) -> None:
    stack.until(lambda: bool(stack.rows(KNOWN)), "the first look of reconcile")
    with kept_dead(stack, "watch", "ars"):
        told_of(stack, told, HEARD)
    told_of(stack, told, OVER)
    for headline in HEARD + OVER:
        assert (told.mailed(headline), told.posted(headline)) == ([headline], [headline])
    assert "refinery logs" in told.mail_of(HEARD[0])
    assert "2 addresses" in stack.refinery("doctor").stdout
    tested = stack.refinery("alarm-test")
    assert tested.returncode == 0 and tested.stdout.count(": taken") == 2
