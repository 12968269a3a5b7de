"""The local page as an application; whoever opened it serves it."""

from collections.abc import Callable
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.staticfiles import StaticFiles

from workstation.page import troubles
from workstation.page.admission import Admission
from workstation.page.context import PageContext
from workstation.page.rendering import make_environment
from workstation.page.routes import ROUTERS
from workstation.page.state import PageState

STATIC = Path(__file__).parent / "static"


def create_app(state: PageState, admission: Admission, close: Callable[[], None]) -> FastAPI:
    """The application; `close` is called once when somebody tells it to end."""
    app = FastAPI(
        title="Specimen Refinery: this workstation",
        openapi_url=None,
        dependencies=[Depends(admission.check_form)],
        redirect_slashes=False,
    )
    app.state.page = PageContext(state, admission, make_environment(), close)
    app.middleware("http")(admission.admit)
    troubles.install(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in ROUTERS:
        app.include_router(router)
    return app
