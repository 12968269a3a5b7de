"""A small GitHub: one repository's issues, labels and comments, as its API gives them.

It refuses and loses what it is told to, and keeps every request that reached it.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN, OWNER, NAME, LOGIN = "ghp_" + "a" * 36, "snm", "workstations", "refinery-bot"
REPOSITORY = f"{OWNER}/{NAME}"
LABEL = "workstation-problem"

Refusal = Callable[[], Response]


class SmallIssueServer:
    """The API as an ASGI application, `app`, at `/repos/snm/workstations`.

    Attributes:
        issues: every issue by its number; `labels` are names here.
        comments: the comments of each issue, the oldest first.
        requests: method and path of each call, in order.
        refusing: answers the next calls instead, one each.
        losing: methods and the ends of paths whose next call is done and then not answered.
        unlisted: numbers of issues that the list lacks for now, as GitHub's may.
        has_issues, archived, may_label, is_app: how the repository and the token are.
    """

    def __init__(self) -> None:
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refusing: list[Refusal] = []
        self.losing: list[tuple[str, str]] = []
        self.unlisted: set[int] = set()
        self.has_issues = self.may_label = True
        self.archived = self.is_app = False
        api = FastAPI()
        api.middleware("http")(self._admit)
        api.get("/user")(self._user)
        api.get(f"/repos/{REPOSITORY}")(self._repository)
        api.get(f"/repos/{REPOSITORY}/issues")(self._list)
        api.post(f"/repos/{REPOSITORY}/issues", status_code=201)(self._create)
        api.get(f"/repos/{REPOSITORY}/issues/{{number}}")(self._issue)
        api.patch(f"/repos/{REPOSITORY}/issues/{{number}}")(self._edit)
        api.get(f"/repos/{REPOSITORY}/issues/{{number}}/comments")(self._comments)
        api.post(f"/repos/{REPOSITORY}/issues/{{number}}/comments", status_code=201)(self._comment)
        self.app: ASGIApp = _Losing(api, self)

    def add(self, body: str, *labels: str, login: str = LOGIN, **more: Any) -> dict[str, Any]:
        """An issue that somebody made."""
        number = len(self.issues) + 1
        self.comments[number] = []
        issue = {
            "number": number,
            "html_url": f"https://github.com/{REPOSITORY}/issues/{number}",
            "title": f"issue {number}",
            "state": "open",
            "locked": False,
            "body": body,
            "labels": list(labels),
            "user": {"login": login},
        }
        self.issues[number] = issue | more
        return self.issues[number]

    def asked(self, method: str, end: str = "") -> int:
        """How often something was asked for."""
        return sum(m == method and path.endswith(end) for m, path in self.requests)

    async def _admit(self, request: Request, answer: Any) -> Response:
        self.requests.append((request.method, request.url.path))
        if self.refusing:
            return self.refusing.pop(0)()
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return said(401, "Bad credentials")
        if "/issues" in request.url.path and not self.has_issues:
            return said(410, "Issues are disabled for this repo")
        if request.method != "GET" and self.archived:
            return said(403, "Repository was archived so is read-only.")
        found = await answer(request)
        return said(404, "Not Found") if found.status_code == 404 else found

    async def _user(self) -> Response:
        if self.is_app:
            return said(403, "Resource not accessible by integration")
        return JSONResponse({"login": LOGIN})

    async def _repository(self) -> dict[str, Any]:
        facts = {"has_issues": self.has_issues, "archived": self.archived}
        return {"full_name": REPOSITORY, **facts}

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        found = [
            shown(issue)
            for issue in reversed(self.issues.values())
            if issue["number"] not in self.unlisted
            and issue["state"] == asked.get("state", "open")
            and set(filter(None, asked.get("labels", "").split(","))) <= set(issue["labels"])
            and asked.get("creator", issue["user"]["login"]) == issue["user"]["login"]
        ]
        return _page(request, found)

    async def _create(self, request: Request) -> Any:
        sent = await request.json()
        if len(sent["title"]) > 256 or len(sent["body"]) > 65_536:
            return said(422, "Validation Failed")
        labels = sent.get("labels", []) if self.may_label else []
        made = self.add(sent["body"], *labels, title=sent["title"])
        return JSONResponse(shown(made), 201)

    async def _issue(self, number: int) -> Response:
        issue = self.issues.get(number)
        return JSONResponse(shown(issue)) if issue else said(404, "Not Found")

    async def _edit(self, number: int, request: Request) -> Response:
        if number not in self.issues:
            return said(404, "Not Found")
        self.issues[number] |= await request.json()
        return JSONResponse(shown(self.issues[number]))

    async def _comments(self, number: int, request: Request) -> Response:
        since = datetime.fromisoformat(request.query_params.get("since", "1970-01-01T00:00:00Z"))
        found = [
            each
            for each in self.comments[number]
            if datetime.fromisoformat(each["updated_at"]) >= since
        ]
        return _page(request, found)

    async def _comment(self, number: int, request: Request) -> Response:
        if self.issues[number]["locked"]:
            return said(403, "Unable to create comment because issue is locked.")
        made = await request.json() | {"updated_at": datetime.now(UTC).isoformat()}
        self.comments[number].append(made)
        return JSONResponse(made, 201)


def shown(issue: dict[str, Any]) -> dict[str, Any]:
    """An issue as GitHub gives it."""
    return issue | {"labels": [{"name": name} for name in issue["labels"]]}


def said(status: int, message: str, **headers: str) -> JSONResponse:
    """A refusal in GitHub's words; `_` in a header's name is a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"message": message, "status": str(status)}, status, named)


def limited_until(seconds: float) -> Response:
    """The refusal of a token whose calls of this hour are used up."""
    reset = str(int(time.time() + seconds))
    words = "API rate limit exceeded for user ID 1."
    return said(403, words, x_ratelimit_remaining="0", x_ratelimit_reset=reset)


def _page(request: Request, found: list[dict[str, Any]]) -> Response:
    size = min(100, int(request.query_params.get("per_page", 30)))
    page = int(request.query_params.get("page", 1))
    part = found[(page - 1) * size : page * size]
    links = {}
    if page * size < len(found):
        following = request.url.include_query_params(page=page + 1)
        links["link"] = f'<{following}>; rel="next"'
    return JSONResponse(part, headers=links)


class _Losing:
    """Has the call done, and ends the connection where its answer should come."""

    def __init__(self, app: ASGIApp, server: SmallIssueServer) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lost = next(
            (
                each
                for each in self._server.losing
                if scope["type"] == "http"
                and scope["method"] == each[0]
                and scope["path"].endswith(each[1])
            ),
            None,
        )
        if lost is None:
            await self._app(scope, receive, send)
            return
        self._server.losing.remove(lost)

        async def swallow(message: Message) -> None:
            pass

        await self._app(scope, receive, swallow)
        # ASGI has no message for it: uvicorn's transport is taken from the bound `send`.
        transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
        transport.abort()
