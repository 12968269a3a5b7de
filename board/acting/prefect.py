"""Prefect as the board asks it: with patience that ends, and one error when it is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.upkeep.verbs import Verb, read_verbs

PATIENCE_S = 15.0
GOOD_FOR_S = 30.0
"""So long verbs are as they were read; a deployment changes with a new version only."""


class PrefectAway(ConnectionError):
    """Prefect does not answer; the text says how."""


@asynccontextmanager
async def prefect(api: str) -> AsyncIterator[PrefectClient]:
    """A client of the server at `api`. Raises PrefectAway when it does not answer in time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            with temporary_settings({PREFECT_API_URL: api}):
                async with get_client() as client:
                    yield client
    except (httpx.HTTPError, TimeoutError) as error:
        raise PrefectAway(f"{type(error).__name__}: {error}".rstrip(": ")) from error
    except PrefectHTTPStatusError as error:
        if error.response.status_code < 500:
            raise
        raise PrefectAway(f"it answers {error.response.status_code}") from error


class VerbsKept:
    """The verbs as Prefect knows them, and as it knew them last while it is away."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}
        self._good_until = 0.0

    def know(self, verbs: Iterable[Verb]) -> None:
        """Take these for all there are. A flow's docstring says of parameters what they say too."""
        self._verbs = {
            each.name: replace(each, help=each.help.partition(" Args:")[0]) for each in verbs
        }
        self._good_until = time.monotonic() + GOOD_FOR_S

    async def all(self, api: str) -> dict[str, Verb]:
        """Every verb by its name. Raises PrefectAway when none was ever read."""
        if time.monotonic() >= self._good_until:
            try:
                async with prefect(api) as client:
                    self.know(await read_verbs(client))
            except PrefectAway:
                if not self._verbs:
                    raise
        return self._verbs
