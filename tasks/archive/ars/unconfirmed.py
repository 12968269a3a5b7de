"""Acting on ARS when its answer may be lost: act once, and look before giving up.

ARS may do the work and lose the answer (a gateway's 504, a cut connection), or say
"exists already" to the second of two equal calls. A look tells what it did.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from blocks.tier import TierBusy, TierError, TierRefused, TierUnknown

T = TypeVar("T")

LOOKS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds waited before each look after an unknown outcome: ARS may still be at it."""


async def act_then_look(
    act: Callable[[], Awaitable[T]], look: Callable[[], Awaitable[T | None]]
) -> T:
    """What `act` returned, or what `look` found when that was not confirmed.

    Raises what `act` raised when nothing is found: still TierUnknown if it was so, for
    what cannot be seen yet may yet come.
    """
    try:
        return await act()
    except (TierRefused, TierBusy, TierUnknown) as unconfirmed:
        for wait in LOOKS if isinstance(unconfirmed, TierUnknown) else LOOKS[:1]:
            await asyncio.sleep(wait)
            try:
                found = await look()
            except TierError:
                continue  # an ARS that does not answer now has refused nothing
            if found is not None:
                return found
        raise
