"""Serving a stand-in over HTTP."""

import uvicorn

from demo.ars.app import create_app
from demo.ars.config import StandInConfig


def serve(config: StandInConfig, host: str, port: int) -> None:
    """Serve until interrupted. Logging stays as the calling program has set it up."""
    uvicorn.run(
        create_app(config), host=host, port=port, log_config=None, timeout_graceful_shutdown=5
    )
