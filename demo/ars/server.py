"""Serving a stand-in over HTTP."""

import uvicorn

from demo.ars.app import create_app
from demo.ars.config import StandInConfig
from refinery import connections, state
from refinery.addresses import LOOPBACK, of_running
from refinery.services import log_to_stderr
from refinery.settings import Settings


def serve_here(settings: Settings) -> None:
    """Serve the running system's stand-in until told to end. Raises state.NotRunning."""
    log_to_stderr()
    addresses = of_running(settings)
    config = StandInConfig(
        database_url=addresses.ars_database,
        share_dir=settings.state / "ars",
        erda_dir=settings.state / "erda",
        base_url=addresses.ars,
        client_id=settings.ars_client_id,
        client_secret=connections.ars_secret(settings),
        control=settings.ars_control,
        profile=settings.ars_profile,
        client_roles=settings.ars_roles,
    )
    for folder in (config.share_dir, config.erda_dir):
        folder.mkdir(parents=True, exist_ok=True)
    serve(config, LOOPBACK, state.read(settings).ports["ars"])


def serve(config: StandInConfig, host: str, port: int) -> None:
    """Serve until interrupted. Logging stays as the calling program has set it up."""
    uvicorn.run(
        create_app(config), host=host, port=port, log_config=None, timeout_graceful_shutdown=5
    )
