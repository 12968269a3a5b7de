"""After an unclear answer we look; what cannot be seen stays unknown."""

import pytest

from blocks.tier import TierBusy, TierRefused, TierUnknown
from tasks.archive.ars.unconfirmed import act_then_look


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.archive.ars.unconfirmed.LOOKS", (0.0, 0.0, 0.0))


class World:
    """An act that fails as told, and looks that answer as told."""

    def __init__(self, failure: Exception | None, *seen: str | Exception | None) -> None:
        self.failure = failure
        self.seen = list(seen)

    async def act(self) -> str:
        if self.failure is not None:
            raise self.failure
        return "acted"

    async def look(self) -> str | None:
        found = self.seen.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


async def test_a_clear_answer_needs_no_look() -> None:
    world = World(None)
    assert await act_then_look(world.act, world.look) == "acted"


async def test_an_effect_seen_after_a_lost_answer_is_a_success() -> None:
    world = World(TierUnknown("504"), None, "there")
    assert await act_then_look(world.act, world.look) == "there"


async def test_an_effect_not_seen_stays_unknown_and_is_never_acted_on_twice() -> None:
    world = World(TierUnknown("504"), None, None, None)
    with pytest.raises(TierUnknown):
        await act_then_look(world.act, world.look)


async def test_an_archive_that_is_away_while_we_look_has_not_said_no() -> None:
    world = World(TierUnknown("504"), TierBusy("away", seconds=60), "there")
    assert await act_then_look(world.act, world.look) == "there"


async def test_a_refusal_is_looked_into_once() -> None:
    world = World(TierRefused("Asset g already exists"), "there")
    assert await act_then_look(world.act, world.look) == "there"
    world = World(TierRefused("Status cannot be null"), None)
    with pytest.raises(TierRefused, match="Status"):
        await act_then_look(world.act, world.look)
