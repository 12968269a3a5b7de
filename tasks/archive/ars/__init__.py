"""What is done to ARS, as effects that may be called again after any crash.

Each looks before it acts and is idempotent by guid. They are plain async functions,
to be awaited by flows.
"""

from tasks.archive.ars.create import Created, ensure_created, ensure_specimens
from tasks.archive.ars.metadata import lock, push_metadata, unlike
from tasks.archive.ars.share import ensure_share_closed, ensure_share_open
from tasks.archive.ars.synchronise import (
    NoShare,
    Pace,
    Progress,
    await_synchronised,
    ensure_synchronise_requested,
    synchronised,
)
from tasks.archive.ars.upload import Uploaded, ensure_uploaded
from tasks.archive.ars.verdict import Outcome, Verdict, decide

__all__ = [
    "Created",
    "NoShare",
    "Outcome",
    "Pace",
    "Progress",
    "Uploaded",
    "Verdict",
    "await_synchronised",
    "decide",
    "ensure_created",
    "ensure_share_closed",
    "ensure_share_open",
    "ensure_specimens",
    "ensure_synchronise_requested",
    "ensure_uploaded",
    "lock",
    "push_metadata",
    "synchronised",
    "unlike",
]
