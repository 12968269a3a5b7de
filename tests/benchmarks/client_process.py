"""A workstation's client in a process of its own: sends the folder of one session.

Prints how much memory it has taken on for it at most, in MB. Arguments: the server's address, the
folder of the session, and one for the client's own state.
"""

import sys
from pathlib import Path

from tests.benchmarks.upload_process import memory_mb
from tests.support.clients import Client
from workstation.ingest.report import IngestResult


def main() -> None:
    """Send it, and delete it."""
    address, folder, state = sys.argv[1:]
    client = Client(Path(state), address, own_folder=Path(folder))
    before = memory_mb("VmRSS")
    report = client.ingest()
    assert report.result is IngestResult.DONE, report.text()
    sys.stdout.write(f"{memory_mb('VmHWM') - before}\n")


if __name__ == "__main__":
    main()
