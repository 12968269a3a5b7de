"""The environment of our services, with all of Prefect's settings.

Variables of Prefect's that happen to be set outside (a profile, a key for its cloud) would
send our runs elsewhere, so none but those about logging is passed on.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from refinery import state
from refinery.addresses import Addresses
from refinery.processes import MARK
from refinery.settings import Settings
from schemas.proxies import unproxied

EVENTS_KEPT = "P7D"
RUNS_KEPT_S = 30 * 24 * 3600
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """Our own environment without Prefect's and PostgreSQL's settings."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith(("PREFECT_", "PG")) or name.startswith("PREFECT_LOGGING_")
    }


def common(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """The variables of every service: Prefect's address and home, no telemetry."""
    programs = str(Path(sys.executable).parent)
    outside = inherited(os.environ)
    return (
        outside
        | unproxied(outside)
        | {
            "PWD": str(settings.project_dir),  # what prefect.yaml names as the working directory
            "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
            "PREFECT_API_URL": addresses.prefect_api,
            "PREFECT_API_AUTH_STRING": addresses.prefect_login,
            "PREFECT_UI_URL": addresses.prefect,
            "PREFECT_HOME": str(settings.state / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_WRAP_LINES": "false",
            # A waking session waits for the worker's next query; Prefect's default is 10 s.
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
            "PYTHONUNBUFFERED": "1",
            "REFINERY_WORK_POOL": settings.work_pool,
            "REFINERY_HOUSEKEEPING_POOL": settings.housekeeping_pool,
            "REFINERY_BOARD_URL": addresses.board,
            "REFINERY_LOG_FORMAT": settings.log_format,
            "REFINERY_SETTLE_SECONDS": str(settings.settle_seconds),
            MARK: state.mark(settings),
        }
    )


def of_server(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """The variables of Prefect's server: its database, its retention, its own page only."""
    found = common(settings, addresses) | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": addresses.prefect_database,
        "PREFECT_SERVER_UI_API_URL": addresses.prefect_api,
        # In memory, a server that is killed forgets until when a deployment's place is taken: what
        # died at the same time, as reconcile may, would hold it for ever and never run again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": addresses.prefect,
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": EVENTS_KEPT,
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(RUNS_KEPT_S),
    }
    if settings.prefect_login:
        found["PREFECT_SERVER_API_AUTH_STRING"] = addresses.prefect_login
    return found
