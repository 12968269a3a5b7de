"""Our own lines from within a flow run: Prefect shows none of them below a warning.

Its worker passes on what a run writes, so that they stand in the worker's log.
"""

import os
from typing import cast

from schemas.log_lines import LogFormat, write_lines

FORMAT = "REFINERY_LOG_FORMAT"
"""The variable that says in which form; flows read no settings. Without it nothing is changed."""

ROOMS = ("flows", "tasks", "track", "hpc", "blocks")


def write_our_lines() -> None:
    """Have our own rooms write their lines in the form that `refinery up` says."""
    form = os.environ.get(FORMAT, "")
    if form in ("text", "json"):
        write_lines(cast(LogFormat, form), ROOMS)
