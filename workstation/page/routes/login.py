"""Logging in to the museum's server, and out."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from workstation.page.context import Fields, Page, see, text_of
from workstation.page.troubles import Trouble, trouble_of
from workstation.server.errors import ServerProblem

router = APIRouter()


@router.get("/login")
def form(page: Page, again: bool = False) -> Response:
    """The form; `again`: the server no longer knows who it was."""
    expired = Trouble("Your login has expired", "log in again, and go on where you were")
    name = page.state.user
    return page.page(
        "login.html",
        "login",
        trouble=expired if again else None,
        name=name,
        address=page.state.address,
    )


@router.post("/login")
def log_in(page: Page, fields: Fields) -> Response:
    """Log in, then go on where the session is."""
    address, name = text_of(fields, "address"), text_of(fields, "name")
    password = fields.get("password", "")
    assert isinstance(password, str)
    try:
        page.state.log_in(address, name, password)
    except ServerProblem as error:
        return page.page(
            "login.html",
            "login",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            trouble=trouble_of(error),
            name=name,
            address=address,
        )
    return see("/")


@router.post("/log-out")
def log_out(page: Page) -> Response:
    """Forget who is logged in; what is being done goes on."""
    page.state.log_out()
    return see("/login")
