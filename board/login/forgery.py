"""Whether a form was sent by a page of this board, and not by somebody else's.

Asked once for every request that may change something, in `board.login.admission`.
"""

import secrets
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from board.visitors import CSRF

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

MAX_FORM = 100_000
"""Bytes of a form; whoever sends more sends no form of ours."""

TOO_OLD = "This page was open too long: go back, reload it, try again."


async def refuse_forged(request: Request, address: str) -> None:
    """Raises HTTPException 403 for a request from elsewhere, or without its session's token.

    `address` is the board's own as browsers know it, or empty.
    """
    if not _from_here(request, address):
        raise HTTPException(403, "This form was sent from another site: open the board, try again.")
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411, "A form says how long it is.")
    if int(length) > MAX_FORM:
        raise HTTPException(413, f"A form has at most {MAX_FORM} bytes: send less.")
    kept = request.session.get(CSRF, "")
    sent = request.headers.get("x-csrf-token") or (await request.form()).get(CSRF)
    if not kept or not isinstance(sent, str) or not _same(kept, sent):
        raise HTTPException(403, TOO_OLD)


def _from_here(request: Request, address: str) -> bool:
    """What the browser says of where the form stood; one that says nothing has only its token."""
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    if not (origin := request.headers.get("origin")):
        return True
    ours = {request.headers.get("host", ""), urlsplit(address).netloc}
    return urlsplit(origin).netloc in ours - {""}


def _same(kept: str, sent: str) -> bool:
    return secrets.compare_digest(kept.encode(), sent.encode("utf-8", "replace"))
