"""The pages, one file for each step of a session and what lies beside them."""

from workstation.page.routes import (
    beginning,
    check,
    choices,
    closing,
    folder,
    login,
    look,
    running,
    sessions,
)

ROUTERS = (
    beginning.router,
    login.router,
    folder.router,
    look.router,
    choices.router,
    check.router,
    running.router,
    sessions.router,
    closing.router,
)
