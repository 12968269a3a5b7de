"""Drivers of the property test that say nothing for a while, and reconcile, who notices.

What waits at such a site goes elsewhere, none is given to it, and its return wakes what waits.
"""

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.faults.truth.world import SITES, Actor, Truth
from tests.support.world import DRIVEN
from track.commands.site_health import note_silence, recover, seen
from track.jobs.sites import is_driven

FALLS_SILENT = text("UPDATE track.site SET seen_at = now() - interval '1 hour' WHERE name = :site")


@dataclass
class Silence:
    """Lets one site after the other fall silent, and come back."""

    truth: Truth
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, "silence")

    async def run(self) -> None:
        """Now and then, for ever; once all is calm, only come back."""
        while True:
            await self.me.turn("listens", 0.3)
            site = self.me.rng.choice(SITES)
            if not await self.me.do("asks", lambda tx, s=site: is_driven(tx, s), 0.1):  # type: ignore[misc]
                await self.me.do(f"{site} is back", lambda tx, s=site: _back(tx, s))  # type: ignore[misc]
            elif self.me.chance(0.3):
                fell = {"site": site}
                await self.me.do(
                    f"{site} falls silent",
                    lambda tx, f=fell: tx.execute(FALLS_SILENT, f),  # type: ignore[misc]
                )
                if self.me.chance(0.7):
                    await self.me.do(
                        "reconcile notices", lambda tx: note_silence(tx, actor="reconcile")
                    )


async def _back(tx: AsyncConnection, site: str) -> None:
    await seen(tx, site)
    await recover(tx, site)
    await tx.execute(DRIVEN, {"names": [site]})
