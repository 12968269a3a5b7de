"""An embedded PostgreSQL cluster: the wheel's programs, run as our own child process.

Whether it lives is asked of the server itself (does it answer, and from our data folder?)
and of the kernel (whose working directory is the data folder?), never of a pid file, which
a crash leaves behind and a recycled pid makes lie.
"""

import logging
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from refinery.addresses import LOOPBACK, unused_port
from refinery.local.service import tail
from refinery.postgres_home import (
    SECRET,
    SUPERUSER,
    PostgresError,
    bare_environment,
    binaries,
    choose_account,
    choose_home,
    make_home,
    password_in,
    socket_folder,
    superuser_url,
)
from refinery.processes import end, heads, send, working_in
from refinery.waiting import Waiting

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 300
RECOVERS = "after a crash it recovers its data first"
STOP_S = 60.0  # a fast shutdown writes a checkpoint first

SERVING = {
    "listen_addresses": "127.0.0.1",
    "max_connections": str(MAX_CONNECTIONS),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "jit": "off",
    # What moves is in memory: a few thousand look-ups by index are cheaper than reading a table.
    "random_page_cost": "1.1",
    "max_wal_size": "2GB",
    "idle_in_transaction_session_timeout": "10min",
}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One cluster. `folder` keeps its secret and, unless root starts it, its data.

    `port` on 127.0.0.1 (0 = a free one, chosen once per object); `fast` gives up crash
    safety for speed, for tests; `home` overrides where data and socket lie; `log` is the
    file the server's messages are appended to (default `folder/postgres.log`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        fast: bool = False,
        home: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.account = choose_account()
        self.home = (home or choose_home(self.folder, self.account)).absolute()
        self.data = self.home / "data"
        self.port = port or unused_port(LOOPBACK)
        self.fast = fast
        self.log = log or self.folder / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def start(self, say: Callable[[str], None] = logger.warning) -> None:
        """Prepare, start and wait until the server answers; slow crash recovery is waited for.

        `say` gets a line about it now and then.

        Raises PostgresError with the end of the server's log when it stops instead.
        """
        self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # In a session of its own, so that Ctrl-C does not reach it.
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.home,
                env=bare_environment(),
                user=self.account.uid,
                group=self.account.gid,
                extra_groups=self.account.extra_groups,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with ExitStack() as undo:
            undo.callback(self.stop)  # whatever ends the waiting, Ctrl-C too: no server is left
            self._wait_until_it_answers(self.process, say)
            undo.pop_all()

    def prepare(self) -> None:
        """Make the cluster when there is none, and end what a killed start left running."""
        make_home(self.home, self.folder, self.account)
        if not (self.data / "PG_VERSION").is_file():
            self._initialise()
        self.end_orphans()
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        if self._sockets is None:
            self._sockets = socket_folder(self.home, self.account)
        for left in self._sockets.glob(".s.PGSQL.*"):  # its lock names a pid: perhaps a zombie's
            left.unlink(missing_ok=True)

    def end_orphans(self) -> bool:
        """End servers of this cluster that outlived whoever started them; whether there were any.

        Raises PostgresError when one does not end.
        """
        family = working_in(self.data, "postgres")
        for head in heads(family):
            send(head, signal.SIGINT)
        left = end(family, STOP_S, signal.SIGQUIT)
        if left:
            raise PostgresError(
                f"{self.data} is still held by process {left[0]}, which does not end; "
                f"look at it with: ps {left[0]}"
            )
        return bool(family)

    def command(self) -> list[str]:
        """The server's argv, for a supervisor; `prepare` comes first."""
        options = SERVING | {"port": str(self.port), "unix_socket_directories": str(self._sockets)}
        options |= FAST if self.fast else {}
        argv = [str(binaries(self.account) / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def answers(self) -> bool:
        """Whether the server at our port accepts our password and serves our data folder.

        Raises PostgresError when another server answers there.
        """
        try:
            with psycopg.connect(**self._connection, connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PostgresError(
                    f"PostgreSQL at 127.0.0.1:{self.port} refuses the password in "
                    f"{self._secret}: is another server there? Choose another postgres_port."
                ) from error
            return False
        if row is None or Path(row[0]).resolve() != self.data.resolve():
            raise PostgresError(
                f"127.0.0.1:{self.port} is served by another PostgreSQL"
                f"{'' if row is None else f' ({row[0]})'}: choose another postgres_port."
            )
        return True

    def stop(self) -> None:
        """End the server: clients are cut off, a checkpoint is written. Harmless when stopped."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def url(self, database: str, driver: str = "postgresql+psycopg") -> str:
        """The URL of `database`, the password in it: hand it on by environment, never in argv."""
        return superuser_url(self.folder, self.port, database, driver)

    def ensure_database(self, name: str) -> None:
        """Create `name` unless it exists."""
        with psycopg.connect(**self._connection, autocommit=True) as connection:
            row = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone()
            if row is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def client(self, program: str, database: str, *arguments: str) -> list[str]:
        """The argv of a client program; the password is in the file that `passfile` names."""
        address = make_conninfo(
            host=LOOPBACK,
            port=self.port,
            dbname=database,
            user=SUPERUSER,
            passfile=str(self._secret),
        )
        return [str(binaries(self.account) / program), "--dbname", address, *arguments]

    @property
    def _secret(self) -> Path:
        return self.folder / SECRET

    @property
    def _connection(self) -> dict[str, Any]:
        return {
            "host": LOOPBACK,
            "port": self.port,
            "user": SUPERUSER,
            "password": password_in(self.folder),
            "dbname": "postgres",
            "require_auth": "scram-sha-256",
        }

    def _initialise(self) -> None:
        """Make the cluster in `data.new`, then rename it: an interrupted one is never used."""
        self._write_secret()
        draft, password = self.home / "data.new", self.home / "password.new"
        shutil.rmtree(draft, ignore_errors=True)
        password.write_text(password_in(self.folder), encoding="utf-8")
        self.account.own(password)
        argv = [str(binaries(self.account) / "initdb"), "-D", str(draft), "-U", SUPERUSER]
        argv += ["--pwfile", str(password), "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        try:
            done = self.account.run([*argv, *(["--no-sync"] if self.fast else [])], self.home)
        finally:
            password.unlink()
        if done.returncode != 0:
            raise PostgresError(f"initdb could not make {self.data}: {done.stderr.strip()[-2000:]}")
        draft.rename(self.data)

    def _write_secret(self) -> None:
        """Draw the password. One that exists is kept: the data of its cluster may be restored."""
        try:
            handle = os.open(self._secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"*:*:*:{SUPERUSER}:{secrets.token_hex(24)}\n")

    def _wait_until_it_answers(
        self, process: subprocess.Popen[bytes], say: Callable[[str], None]
    ) -> None:
        waiting = Waiting("PostgreSQL", say, why=RECOVERS, log=self.log)
        while process.poll() is None:
            state = PGconn.ping(f"host=127.0.0.1 port={self.port}".encode())
            if state == Ping.OK and self.answers():
                return
            waiting.go_on()
            time.sleep(0.02)
        raise PostgresError(
            f"PostgreSQL for {self.data} stopped with code {process.returncode} while starting. "
            f"The end of {self.log}:\n{tail(self.log)}"
        )
