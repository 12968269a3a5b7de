"""Archive tokens for jobs: short-lived, made here, so that our secret never leaves the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException

from api.context import Context, TokenSource
from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import TierError
from schemas.attempts import Token

MIN_LIFE_S = 120.0
"""What a token handed out should have left, where the archive gives as much."""

RETRY_AFTER_S = 30


class NoToken(Exception):
    """The archive gives no token now."""


@asynccontextmanager
async def archive_tokens(address: ArsAddress) -> AsyncIterator[TokenSource]:
    """A source of tokens at the address of an `ArsArchive` block, for as long as it is open."""
    async with ArsClient(address) as client:

        async def ask() -> tuple[str, float]:
            try:
                token = await client.token(MIN_LIFE_S)
            except TierError as error:
                raise NoToken(str(error)) from error
            return token.text, token.expires_in

        yield ask


async def ars_token(here: Context) -> Token:
    """A token for a job; 503 while the archive gives none."""
    try:
        return await _token(here)
    except NoToken as error:
        raise no_token(error) from error


async def ars_token_if_any(here: Context) -> Token | NoToken:
    """A token for a job, or why the archive gives none."""
    try:
        return await _token(here)
    except NoToken as error:
        return error


def no_token(why: NoToken) -> HTTPException:
    """503: what needs the archive has to wait for it."""
    return HTTPException(503, f"no archive token: {why}", {"Retry-After": str(RETRY_AFTER_S)})


async def _token(here: Context) -> Token:
    text, expires_in = await here.ars_token()
    return Token(token=text, expires_in=max(0, int(expires_in)))
