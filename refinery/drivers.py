"""Keeps a driver at every site that can be reached, while sites and their blocks come and go.

The database lists the sites, and a block says how each is reached; both are read again every
few seconds, so that a site that is added, changed or given its block needs no restart.
A driver that fails is started again after a pause; other sites are not affected.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

import httpx
import psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.slurm_site import SlurmSite
from hpc.archives import build_runner
from hpc.sites.driver import SiteDriver, drive
from hpc.sites.local.driver import LocalDriver
from hpc.sites.lock import LockLost
from hpc.sites.slurm.driver import SlurmDriver
from hpc.transport.ssh import SshLink
from refinery import connections
from refinery.addresses import Addresses
from refinery.archive_shares import ArsShares
from refinery.settings import Settings
from schemas.backoff import Backoff
from schemas.sites import Site
from schemas.ssh_address import SshAddress
from track.commands.site_health import degrade
from track.jobs.sites import read_sites
from track.schema.database import ping, transact

REREAD_S = 3.0
PAUSES = Backoff(30.0, 300.0)
RETAKES = Backoff(1.0, 30.0)
"""A driver that ran for the longest pause is started again after the shortest."""

DATABASE_DOWN = (psycopg.OperationalError, OperationalError)
"""What is raised when the database is away. Unless only one connection was lost, the service
ends, and its supervisor starts it again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SiteConnection:
    """A site and, unless it is this machine, how it is reached."""

    site: Site
    address: SshAddress | None


@dataclass
class SiteDrivers:
    """One task for each site that is driven, and the connection it was given."""

    settings: Settings
    addresses: Addresses
    engine: AsyncEngine
    driven: dict[str, tuple[SiteConnection, asyncio.Task[None]]] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Drive until cancelled; raises when the database is out of reach."""
        try:
            while True:
                await self.turn()
                await asyncio.sleep(REREAD_S)
        finally:
            for name in list(self.driven):
                await self._stop(name)

    async def turn(self) -> None:
        """Start drivers of new sites, stop those of removed ones, restart those of changed ones."""
        reachable = await self._connections()
        for name, (connection, task) in list(self.driven.items()):
            if task.done():
                task.result()
            if reachable.get(name) != connection:
                log.info("site %s: gone or changed; its driver ends", name)
                await self._stop(name)
        for name, connection in reachable.items():
            if name not in self.driven:
                self.driven[name] = (connection, asyncio.create_task(self._keep(connection)))

    async def _keep(self, connection: SiteConnection) -> None:
        """Drive one site until cancelled, again after a growing pause when its driver breaks."""
        name, broken, lost = connection.site.name, 0, 0
        while True:
            began = time.monotonic()
            try:
                await drive(self.addresses.database, self.engine, name, self._driver(connection))
            except (LockLost, *DATABASE_DOWN) as error:
                await self._database_answers(error)
                lost = 1 if time.monotonic() - began >= RETAKES.longest_s else lost + 1
                log.warning("site %s: its driver has stopped and begins again: %s", name, error)
                await asyncio.sleep(RETAKES.pause_s(lost))
                continue
            # A full disk here, a missing program, or a bug of ours: its cause goes to the log with
            # its traceback and to the site's `degraded`, and no other site has to stop for it.
            except Exception as error:
                broken = 1 if time.monotonic() - began >= PAUSES.longest_s else broken + 1
                again_s = PAUSES.pause_s(broken)
                log.exception("site %s: its driver broke; again in %.0f s", name, again_s)
                await self._degrade(name, error)
            await asyncio.sleep(PAUSES.pause_s(broken))

    async def _database_answers(self, error: Exception) -> None:
        """Return when only a connection was lost. Raises `error` when the database is away."""
        try:
            await ping(self.engine)
        except DATABASE_DOWN:
            raise error from None

    async def _degrade(self, name: str, error: Exception) -> None:
        """Have a site shown as degraded; its next driver's first good turn takes that back."""
        first = str(error).partition("\n")[0]
        why = f"its driver broke: {type(error).__name__}: {first}"
        await transact(self.engine, degrade, name, why)

    async def _stop(self, name: str) -> None:
        _, task = self.driven.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _connections(self) -> dict[str, SiteConnection]:
        """Every site that can be driven from here."""
        sites = await transact(self.engine, read_sites)
        found: dict[str, SiteConnection] = {}
        for site in sites:
            if not site.can.driven:
                self._warn(site, "it asks for its work itself; nothing here drives it")
            elif not site.can.over_ssh:
                found[site.name] = SiteConnection(site, None)
            elif (address := await self._address(site)) is not None:
                found[site.name] = SiteConnection(site, address)
        return found

    async def _address(self, site: Site) -> SshAddress | None:
        """The address in the site's block; the last one read while Prefect does not answer."""
        try:
            block: SlurmSite = await SlurmSite.aload(site.block or site.name)
            return block.address()
        except ValueError as error:
            self._warn(site, f"not driven: save a SlurmSite block {site.block!r} ({error})")
            return None
        except httpx.HTTPError as error:
            self._warn(site, f"its block cannot be read now: {error}")
            connection, _ = self.driven.get(site.name, (None, None))
            return connection.address if connection else None

    def _warn(self, site: Site, what: str) -> None:
        """Log a warning once."""
        if (line := f"site {site.name}: {what}") not in self.logged:
            self.logged.add(line)
            log.warning("%s", line)

    def _driver(self, connection: SiteConnection) -> SiteDriver:
        site, settings = connection.site, self.settings
        runner, keys = build_runner(settings.state / "run"), connections.token_keys(settings)
        outputs = settings.state / "outputs"
        archive = connections.archive(settings, self.addresses).address()
        if connection.address is None:
            callback, links = site.callback or self.addresses.clusters, archive.file_proxy()
            return LocalDriver(site, self.engine, keys, callback, runner, outputs, links)
        return SlurmDriver(
            site,
            self.engine,
            keys,
            site.callback or "",
            runner,
            SshLink(connection.address),
            prelude=connection.address.prelude,
            file_proxy=archive.file_proxy(),
            outputs=outputs,
            archive_shares=ArsShares(archive),
        )
