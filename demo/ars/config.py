"""How one stand-in archive is set up.

Everything that differs between two stand-ins is here, so that a test, the demo world and
the command line each start the same program. Nothing is read from the environment.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ProfileName = Literal["v2_11", "v2_6"]


@dataclass(frozen=True)
class StandInConfig:
    """Settings of one stand-in.

    `base_url` is the address clients use, without a trailing slash; it appears in tokens, in
    `hostname` and in file lists. `tick_seconds` is the pause between two runs of the ERDA job
    (0: only when forced through `/__sim/tick`); `gap_ms` is how long a share outlives the
    success status; `disk_mb` is the size of the share mount in MB of 10^6 bytes;
    `legacy_status_names` shows the statuses as they were called before v2.3.
    """

    database_url: str = field(repr=False)
    share_dir: Path
    erda_dir: Path
    base_url: str
    client_secret: str = field(repr=False)
    client_id: str = "specimen-refinery"
    client_roles: tuple[str, ...] = ("service-user",)
    token_seconds: int = 300
    tick_seconds: float = 1.0
    gap_ms: int = 200
    disk_mb: int = 100_000
    profile: ProfileName = "v2_11"
    legacy_status_names: bool = False
    control: bool = False

    @property
    def is_current(self) -> bool:
        """Whether the contract is that of v2.11, not of v2.6."""
        return self.profile == "v2_11"


LEGACY_STATUS_NAMES = {"ERDA_SYNCHRONISED": "COMPLETED", "ERDA_FAILED": "ERDA_ERROR"}
