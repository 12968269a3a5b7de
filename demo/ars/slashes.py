"""A path with a slash at its end is the path without it, as the archive's framework has it.

Clients use both forms. Nothing is redirected: a redirect loses the body of a POST.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_FOLDER = re.compile(r"/file_proxy/api/(?:assetfiles|files/assets)/[^/]+/[^/]+/[^/]+")
"""An asset's folder. Its routes take the rest of the path, which begins with a slash."""


class SameWithSlash:
    """ASGI middleware that brings every path into the form its route has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": routed(scope["path"])}
        await self._app(scope, receive, send)


def routed(path: str) -> str:
    """The path that its route matches."""
    bare = path.rstrip("/") or "/"
    return f"{bare}/" if _FOLDER.fullmatch(bare) else bare
