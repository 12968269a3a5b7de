"""Prefect's own command line, with our notification block known to it.

An automation's notification is sent by Prefect's server itself, which knows the blocks of Prefect
and of installed collections only. `python -m refinery.local.prefect_server server start …`
"""

from prefect.cli import app

from blocks.alarm_addresses import AlarmAddresses

KNOWN = (AlarmAddresses,)
"""Prefect finds a block's class by its type's name once it has been imported."""

if __name__ == "__main__":
    app()
