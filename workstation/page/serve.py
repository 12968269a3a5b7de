"""Opens the page: serves it to this machine alone, and shows it in the browser."""

import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from workstation.journal.journal import SessionJournal
from workstation.page.admission import Admission
from workstation.page.app import create_app
from workstation.page.running_page import forget_page, note_page, running_page
from workstation.page.state import PageState
from workstation.places import Places
from workstation.problems import WorkstationError
from workstation.server.problem_report import Machine
from workstation.session.last_used import LastUsed

LOOPBACK = "127.0.0.1"


def serve_page(
    state: PageState,
    show: Callable[[str], object] = webbrowser.open,
    port: int = 0,
    ends: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """Serve the page until somebody tells it to end, or the process is interrupted.

    `show` is given its first address, which holds a secret. `port` 0 is any that is free. What is
    being done is stopped at the end, and waited for. `ends` is given what makes it end.
    """
    with socket.create_server((LOOPBACK, port)) as listening:
        admission = Admission(listening.getsockname()[1])
        address = admission.first_address

        def end() -> None:
            server.should_exit = True

        server = _ShowingServer(create_app(state, admission, end), lambda: show(address))
        if ends is not None:
            ends(end)
        try:
            server.run(sockets=[listening])
        finally:
            state.close()


def open_page(
    places: Places, server_address: str = "", announce: Callable[[str], None] = print
) -> None:
    """Open the page in the browser, and serve it until it is told to end.

    Where one is served already it is shown again. `announce` is given sentences for whoever
    started it. Raises WorkstationError when the client's state cannot be kept.
    """
    if (address := running_page(places)) is not None:
        announce("The page is open already; it is shown again.")
        webbrowser.open(address)
        return

    def show(address: str) -> None:
        try:
            note_page(places, address)
        except WorkstationError as error:
            announce(f"Started again, this page would not be found: {error}")
        announce(f"The page is open in your browser. If you do not see it, open {address}")
        webbrowser.open(address)

    with SessionJournal(places.journal) as journal:
        client, last = Machine.this().client_version, LastUsed.read(places.last_used)
        state = PageState(places, journal, server_address or last.server, client)
        state.user, state.workstation = last.user, last.workstation
        try:
            serve_page(state, show)
        finally:
            forget_page(places)
        announce("The page is closed.")


class _ShowingServer(uvicorn.Server):
    """A server that calls `shown` once it answers."""

    def __init__(self, app: object, shown: Callable[[], object]) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._shown = shown

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then show the page."""
        await super().startup(sockets)
        threading.Thread(target=self._shown, name="browser", daemon=True).start()
