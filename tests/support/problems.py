"""Problems of workstations for tests."""

from datetime import UTC, datetime
from typing import Any

from schemas.problems import WorkstationProblem

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def problem(**facts: Any) -> WorkstationProblem:
    """A problem, all of it given but what is said here."""
    given = {
        "workstation": "WORKHERB0001",
        "step": "upload",
        "code": "drive_away",
        "summary": "The server could not write æble.tif.",
        "details": "OSError: [Errno 5] Input/output error",
        "client_version": "0.1.0",
        "system": "Windows 10",
        "python": "3.11.9",
        "occurred_at": NOON,
        "fingerprint": "a" * 64,
    }
    return WorkstationProblem.model_validate(given | facts)
