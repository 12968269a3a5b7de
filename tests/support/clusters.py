"""A throw-away PostgreSQL cluster in a folder that its account can enter."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refinery.local.postgres import EmbeddedPostgres
from refinery.postgres_home import choose_account


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A short-named folder owned by the account that may run PostgreSQL; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="refinery-test-"))
    try:
        choose_account().own(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_cluster() -> Iterator[EmbeddedPostgres]:
    """A started, fast, crash-unsafe cluster; stopped and removed whatever happens."""
    with temporary_folder() as folder:
        cluster = EmbeddedPostgres(folder / "state", home=folder / "pg", fast=True)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
