"""Loads what the owners wrote, pipelines and sites, into the database at start-up."""

import logging

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.runner.registry import names
from refinery.offered import check_offered
from refinery.settings import Settings
from schemas.pipeline.checks import check_together
from schemas.pipeline.load import Pipeline, load_pipelines
from schemas.sites import Site, load_sites
from track.commands import pipelines as known_pipelines
from track.commands.back_fill import back_fill
from track.jobs import sites as known_sites
from track.jobs.room import set_archive_throttle
from track.records.outbox import announce_changed
from track.schema.database import transact

log = logging.getLogger(__name__)

ACTOR = "refinery up"

BACK_FILL_S = 30.0
"""How long a start is spent on it."""


def read_pipelines(settings: Settings) -> list[Pipeline]:
    """Every pipeline of every file in the pipelines' folder. Raises PipelineError."""
    found: list[Pipeline] = []
    for path in sorted(settings.pipelines.glob("*.yaml")):
        found += load_pipelines(path.read_text(encoding="utf-8"), str(path), names())
    check_together(found)
    return found


def read_sites(settings: Settings) -> list[Site]:
    """The sites of the sites file; without one, this machine alone. Raises SitesError."""
    if settings.sites_file.is_file():
        text = settings.sites_file.read_text(encoding="utf-8")
        return load_sites(text, str(settings.sites_file))
    root = str(settings.state / "sites" / "local")
    return [Site.model_validate({"site": "local", "kind": "local", "root": root, "capacity": 2})]


async def load(settings: Settings, engine: AsyncEngine) -> list[str]:
    """Bring the database's pipelines and sites in line; the names of changed pipelines.

    Specimens of a changed pipeline are brought in line for a while; reconcile goes on with it.
    """
    pipelines, sites = read_pipelines(settings), read_sites(settings)
    warn_of_values(settings, pipelines)

    async def write(tx: AsyncConnection) -> list[str]:
        changed = await known_pipelines.load_pipelines(tx, pipelines, actor=ACTOR)
        await set_archive_throttle(tx, settings.archive_throttle, actor=ACTOR)
        await announce_changed(tx, changed, by=ACTOR)
        return changed

    # Sites by themselves: a driver that holds the edges may wait for its site's row.
    await transact(engine, known_sites.load_sites, sites, actor=ACTOR)
    changed = await transact(engine, write)
    await back_fill(engine, within_s=BACK_FILL_S)
    return changed


def warn_of_values(settings: Settings, pipelines: list[Pipeline]) -> None:
    """Log what is wrong with the values that workstations are offered; the road goes on."""
    try:
        check_offered(settings, [each.name for each in pipelines])
    except ValueError as error:
        log.warning("what workstations choose from is not right: %s", error)
