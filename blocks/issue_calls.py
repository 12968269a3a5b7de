"""The calls of GitHub's API that we make: one repository's issues and their comments."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from blocks.issue_errors import TrackerForbids, check_answer, no_answer
from blocks.issue_tracker import IssueTracker

CALL_S = 20.0
"""How long one call may take."""

PAGE = 100
"""Issues or comments that GitHub gives at once, at most."""

_GONE = frozenset({301, 404, 410})
"""An issue that was moved to another repository, or was deleted."""

T = TypeVar("T")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TrackerAccount(_Answer):
    """Who a token belongs to."""

    login: str


class TrackedIssue(_Answer):
    """An issue as GitHub gives it; it gives pull requests as issues, too."""

    number: int
    html_url: str
    state: str
    locked: bool = False
    body: str | None = None
    pull_request: dict[str, Any] | None = None


class IssueComment(_Answer):
    """What somebody wrote below an issue."""

    body: str | None = None


class TrackedRepository(_Answer):
    """The repository itself."""

    full_name: str
    has_issues: bool = True
    archived: bool = False


class IssueCalls:
    """`async with IssueCalls(tracker) as calls`. Each call raises TrackerError."""

    def __init__(self, tracker: IssueTracker) -> None:
        self._repository = tracker.repository
        self._path = f"/repos/{tracker.repository}"
        self._http = httpx.AsyncClient(
            base_url=tracker.api_url.rstrip("/"),
            headers={
                "Authorization": f"Bearer {tracker.token.get_secret_value()}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "specimen-refinery",
            },
            timeout=CALL_S,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def repository(self) -> TrackedRepository:
        """The repository, whether or not it has issues."""
        return await self._one(TrackedRepository, "GET", self._path)

    async def account(self) -> TrackerAccount | None:
        """Who we are there; None: a GitHub app, which has no account."""
        try:
            return await self._one(TrackerAccount, "GET", "/user")
        except TrackerForbids:
            return None

    async def open_issues(self, **of: str) -> AsyncIterator[TrackedIssue]:
        """The open issues that have this label or creator, the newest first."""
        path = f"{self._path}/issues"
        async for issue in self._listed(TrackedIssue, path, state="open", **of):
            if issue.pull_request is None:
                yield issue

    async def issue(self, number: int) -> TrackedIssue | None:
        """One issue; None when it is not there any more."""
        path = f"{self._path}/issues/{number}"
        answer = await self._answer("GET", path, accept=_GONE)
        if answer.status_code in _GONE:
            return None
        return self._read(TypeAdapter(TrackedIssue), f"GET {path}", answer)

    async def create(self, title: str, body: str, labels: list[str]) -> TrackedIssue:
        """A new issue. A token that may not set labels has them left out in silence."""
        made = {"title": title, "body": body, "labels": labels}
        return await self._one(TrackedIssue, "POST", f"{self._path}/issues", made)

    async def edit(self, number: int, body: str) -> TrackedIssue:
        """Replace what an issue says."""
        path = f"{self._path}/issues/{number}"
        return await self._one(TrackedIssue, "PATCH", path, {"body": body})

    async def comments(self, number: int, since: datetime) -> AsyncIterator[IssueComment]:
        """The comments that were written or changed since then."""
        path = f"{self._path}/issues/{number}/comments"
        when = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        async for comment in self._listed(IssueComment, path, since=when):
            yield comment

    async def comment(self, number: int, body: str) -> None:
        """Write below an issue."""
        path = f"{self._path}/issues/{number}/comments"
        await self._one(IssueComment, "POST", path, {"body": body})

    async def _listed(self, kind: type[T], path: str, **of: str) -> AsyncIterator[T]:
        many = TypeAdapter(list[kind])  # type: ignore[valid-type]
        params = httpx.QueryParams({**of, "per_page": str(PAGE)})
        while True:
            answer = await self._answer("GET", path, params=params)
            for each in self._read(many, f"GET {path}", answer):
                yield each
            if (following := answer.links.get("next")) is None:
                return
            # Its query alone: the token goes nowhere but to the address that was set.
            params = httpx.URL(following["url"]).params

    async def _one(self, kind: type[T], method: str, path: str, body: Any = None) -> T:
        answer = await self._answer(method, path, json=body)
        return self._read(TypeAdapter(kind), f"{method} {path}", answer)

    async def _answer(
        self, method: str, path: str, *, accept: frozenset[int] = frozenset(), **sent: Any
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(CALL_S):
                answer = await self._http.request(method, path, **sent)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise no_answer(f"{method} {path}", error) from error
        if answer.status_code not in accept:
            check_answer(f"{method} {path}", self._repository, answer)
        return answer

    def _read(self, form: TypeAdapter[T], what: str, answer: httpx.Response) -> T:
        try:
            return form.validate_json(answer.content)
        except ValidationError as error:
            # A page of a proxy between us, most likely.
            raise no_answer(what, ValueError("it is not GitHub who answers")) from error
