"""Who may use the page: the browser that the client opened, and forms of the page itself.

Any site that somebody visits may send requests to this machine, and any user of the machine may
connect to it. So the first address holds a secret, which a cookie keeps from then on; the host
that is asked for must be this one by its own name (else a foreign name that was made to point
here could read along); and what changes anything needs a secret that only our forms have.
"""

import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import HTTPException, Request
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.responses import Response

FORM_TOKEN = "form_token"
OPEN = "/open"
"""The path of the first address."""

MAX_FORM_BYTES = 100_000
SAFE_METHODS = frozenset({"GET", "HEAD"})

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing is loaded from elsewhere, and no other site may show or embed any of it."""

Answer = Callable[[Request], Awaitable[Response]]


class Admission:
    """The secrets of one running page, new each time; `port` is the one that it is served at."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.form_token = secrets.token_urlsafe(32)
        self._first, self._cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)

    @property
    def first_address(self) -> str:
        """What the browser is opened at; whoever has it may use the page."""
        return f"http://127.0.0.1:{self.port}{OPEN}?token={self._first}"

    @property
    def cookie_name(self) -> str:
        """Cookies know no ports, so that the name has it."""
        return f"specimen-refinery-{self.port}"

    def is_this_host(self, host: str) -> bool:
        """Whether a Host header names this page."""
        return host.lower() in (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    async def admit(self, request: Request, answer: Answer) -> Response:
        """The middleware: answers those who may, refuses all others before any page runs."""
        response = await self._admitted(request, answer)
        if request.url.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "private, max-age=600")
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _admitted(self, request: Request, answer: Answer) -> Response:
        if not self.is_this_host(request.headers.get("host", "")):
            return _refused(HTTPStatus.MISDIRECTED_REQUEST, "There is no such page here.")
        if request.url.path == OPEN and request.method == "GET":
            return self._opened(request)
        if not _same(request.cookies.get(self.cookie_name, ""), self._cookie):
            text = "Open this page through the program: start `refinery ingest --page` again."
            return _refused(HTTPStatus.FORBIDDEN, text)
        return await answer(request)

    def _opened(self, request: Request) -> Response:
        if not _same(request.query_params.get("token", ""), self._first):
            text = "This address is of another time: start `refinery ingest --page` again."
            return _refused(HTTPStatus.FORBIDDEN, text)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        response.set_cookie(self.cookie_name, self._cookie, httponly=True, samesite="strict")
        return response

    async def check_form(self, request: Request) -> None:
        """A dependency of every page. Raises HTTPException for a change that no form asked for."""
        if request.method in SAFE_METHODS:
            return
        if not self._is_from_here(request):
            raise HTTPException(HTTPStatus.FORBIDDEN, "This form was sent by another site.")
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "A form says how long it is.")
        if int(length) > MAX_FORM_BYTES:
            text = f"A form has at most {MAX_FORM_BYTES} bytes: write less."
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        sent = (await request.form()).get(FORM_TOKEN)
        if not isinstance(sent, str) or not _same(sent, self.form_token):
            raise HTTPException(HTTPStatus.FORBIDDEN, "Go back, reload the page, and try again.")

    def _is_from_here(self, request: Request) -> bool:
        """What the browser says of the page that the form stood on, if it says anything."""
        if site := request.headers.get("sec-fetch-site"):
            return site == "same-origin"
        origin = request.headers.get("origin")
        return origin is None or self.is_this_host(origin.removeprefix("http://"))


def _refused(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _same(sent: str, secret: str) -> bool:
    return secrets.compare_digest(sent.encode("utf-8", "replace"), secret.encode())
