"""What a page is given when it is asked for: the state, and how an answer is made."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from starlette.datastructures import FormData

from workstation.page.admission import Admission
from workstation.page.state import PageState

STEPS = (
    ("login", "Log in"),
    ("folder", "Folder"),
    ("look", "Look"),
    ("choices", "Choices"),
    ("check", "Check"),
    ("progress", "Send"),
    ("report", "Report"),
)


@dataclass(frozen=True)
class PageContext:
    """What all pages are made with. `close` ends the process."""

    state: PageState
    admission: Admission
    environment: Environment
    close: Callable[[], None]

    def page(
        self, template: str, step: str = "", status: int = HTTPStatus.OK, **values: Any
    ) -> HTMLResponse:
        """A page; `step` is the one that it belongs to."""
        text = self.environment.get_template(template).render(
            state=self.state,
            form_token=self.admission.form_token,
            step=step,
            steps=STEPS,
            **values,
        )
        return HTMLResponse(text, status)


def _context(request: Request) -> PageContext:
    found: PageContext = request.app.state.page
    return found


async def _fields(request: Request) -> FormData:
    return await request.form()


Page = Annotated[PageContext, Depends(_context)]
Fields = Annotated[FormData, Depends(_fields)]


def text_of(fields: FormData, name: str) -> str:
    """What was typed into a field, without blanks around it; empty where it is not there."""
    found = fields.get(name, "")
    return found.strip() if isinstance(found, str) else ""


def texts_of(fields: FormData, name: str) -> tuple[str, ...]:
    """All values of a field that were chosen."""
    return tuple(each for each in fields.getlist(name) if isinstance(each, str) and each.strip())


def lines_of(fields: FormData, name: str) -> tuple[str, ...]:
    """The lines that were typed into a field, without empty ones."""
    return tuple(line.strip() for line in text_of(fields, name).splitlines() if line.strip())


def see(path: str) -> RedirectResponse:
    """Go on at another page, which is then asked for anew."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
