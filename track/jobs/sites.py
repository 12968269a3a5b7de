"""Sites in the database: which there are, which one a job goes to, and what was learnt of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import SILENT_AFTER_S, Site, kinds_that
from track.schema.arrays import any_of, array_of
from track.schema.history import record
from track.schema.tables import site

ADMITTED = "legacy_callbacks"


class NoSite(Exception):
    """No open site may take this stage; open one, or change the stage's `on`."""


async def load_sites(tx: AsyncConnection, sites: Sequence[Site], *, actor: str) -> None:
    """Make the database's sites what sites.yaml says; the operator's switch is left alone.

    A start of the system does this: from then on their drivers are expected to be seen.
    """
    for rank, each in enumerate(sites):
        row: dict[str, Any] = {"kind": each.kind, "rank": rank, "expected_at": func.now()}
        row["definition"] = each.definition()
        statement = insert(site).values(row | {"name": each.name, "open": each.open})
        await tx.execute(statement.on_conflict_do_update(index_elements=[site.c.name], set_=row))
    known = [each.name for each in sites]
    # What is no longer listed lets no script in either; its other facts are history.
    gone = update(site).where(~any_of(site.c.name, known), site.c.definition.has_key(ADMITTED))
    await tx.execute(gone.values(definition=site.c.definition - ADMITTED))
    closed = update(site).where(~any_of(site.c.name, known), site.c.open).values(open=False)
    for name in (await tx.execute(closed.returning(site.c.name))).scalars():
        await record(tx, actor=actor, what="site.open", old=name, new="not in sites.yaml")


async def read_sites(tx: AsyncConnection) -> list[Site]:
    """Every site in the order of sites.yaml."""
    rows = await tx.execute(select(site.c.definition).order_by(site.c.rank))
    return [Site.model_validate(definition) for definition in rows.scalars()]


async def read_site(tx: AsyncConnection, name: str) -> Site:
    """One site, which is known to be there."""
    row = select(site.c.definition).where(site.c.name == name)
    return Site.model_validate((await tx.execute(row)).scalar_one())


RUNS_SCRIPTS = f"""(
    t.kind = ANY({array_of(kinds_that(lambda kind: kind.scripts == "always"))})
    OR t.kind = ANY({array_of(kinds_that(lambda kind: kind.scripts == "if_named"))})
       AND t.definition ? 'scripts')"""
"""Whether site `t` has scripts of its own."""

WITHOUT_INPUTS = """(s.kind = 'script'
    OR s.kind = 'command' AND NOT CAST(s.command ->> 'inputs' AS boolean))"""
"""Whether nobody brings stage `s` its asset's files: it finds them at its site, or needs none."""

BOUND = f"({WITHOUT_INPUTS} OR s.kind = 'module' AND s.run = 'upload')"
"""Whether stage `s` runs where its asset's files were made: an upload, and all that is brought
no inputs."""

USES_ARCHIVE = f"""(s.kind = 'script' OR s.kind <> 'builtin' AND NOT {WITHOUT_INPUTS}
    AND NOT (s.kind = 'module' AND s.run = 'clean'))"""
"""Whether stage `s`, at a site, reads or writes files in the archive: it needs its asset's share
open, and a token."""

PATIENCE = f"""make_interval(secs => coalesce(
    CAST(t.definition ->> 'silent_after_s' AS double precision), {SILENT_AFTER_S}))"""
"""How long site `t` may go without a sign of life of its driver."""

DRIVEN = f"(t.seen_at IS NOT NULL AND t.seen_at > now() - {PATIENCE})"
"""Whether somebody drives site `t`: what is queued at another lies there for ever."""

MAY_PROBE = """(
    CAST(t.lacks -> s.run ->> 'until' AS timestamptz) < now()
    AND NOT EXISTS (SELECT 1 FROM track.attempt o
                      JOIN track.job oj ON oj.id = o.job_id AND oj.attempt_id = o.id
                      JOIN track.stage os ON os.id = oj.stage_id AND os.run = s.run
                     WHERE o.site = t.name AND o.closed_at IS NULL))"""
"""Whether one job may try again what site `t` could not run: one, for it has no library for it."""

SERVES = f"""
    t.open AND t.degraded IS NULL AND {DRIVEN}
    AND (s.sites IS NULL OR s.sites ? t.name)
    AND (s.kind <> 'module' OR NOT t.lacks ? s.run OR {MAY_PROBE})
    AND (s.kind <> 'script' OR {RUNS_SCRIPTS})
"""
"""Whether site `t` may take stage `s`, wherever an asset's files are."""

TAKES = f"""
    {SERVES}
    AND (NOT {BOUND} OR t.name = coalesce(
        (SELECT f.site FROM track.file f WHERE f.asset_guid = a.guid AND f.site IS NOT NULL
          ORDER BY f.id LIMIT 1), t.name))
"""
"""Whether site `t` may take stage `s` of asset `a`."""

WITHOUT_SITE = f"(s.kind <> 'builtin' AND NOT EXISTS (SELECT 1 FROM track.site t WHERE {TAKES}))"
"""Whether no site may take it now: it waits for one to be opened or to recover."""

CHOOSE = text(f"""
    SELECT DISTINCT ON (j.id) j.id, t.name, t.lacks ? s.run AND s.kind = 'module' AS probes, s.run
    FROM track.site t, track.job j
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE j.id = ANY(:jobs) AND {TAKES}
      AND t.name || ' ' || s.run <> ALL(:probed)
    ORDER BY j.id,
             EXISTS (  -- a site that could not serve this job the last time comes last
                SELECT 1 FROM track.attempt p
                WHERE p.job_id = j.id AND p.site = t.name AND p.outcome = 'unserved'
                  AND p.n = (SELECT max(n) FROM track.attempt WHERE job_id = j.id)
             ),
             EXISTS (  -- a site that already holds the asset's files comes first
                SELECT 1 FROM track.job pj
                CROSS JOIN LATERAL (  -- never from all that was done at the site to the asset's
                    SELECT 1 FROM track.attempt p
                    WHERE p.job_id = pj.id AND p.site = t.name AND p.outcome = 'done' OFFSET 0) p
                WHERE pj.asset_guid = a.guid
             ) DESC,
             t.rank
""")


async def choose_sites(tx: AsyncConnection, job_ids: Sequence[int]) -> dict[int, str]:
    """The site for the next attempt of each of these jobs: one its stage allows, that is open,
    driven and well; nothing for those of which there is none.

    Uploads, and what is brought no inputs, are bound to the site that made the file. Of those
    that would try again what a site could not run, one goes there.
    """
    chosen: dict[int, str] = {}
    left, probed = list(job_ids), set[str]()
    while left:
        again = []
        rows = (await tx.execute(CHOOSE, {"jobs": left, "probed": sorted(probed)})).all()
        for row in rows:
            probe = f"{row.name} {row.run}"
            if row.probes and probe in probed:
                again.append(row.id)
                continue
            if row.probes:
                probed.add(probe)
            chosen[row.id] = row.name
        left = again
    return chosen


async def choose_site(tx: AsyncConnection, job_id: int) -> str:
    """The site for a job's next attempt, as `choose_sites` has it. Raises NoSite."""
    found = await choose_sites(tx, [job_id])
    if not found:
        raise NoSite(f"job {job_id}: no open site may take it")
    return found[job_id]


async def runs_scripts(tx: AsyncConnection, name: str) -> bool:
    """Whether a site has scripts of its own."""
    asked = text(f"SELECT {RUNS_SCRIPTS} FROM track.site t WHERE t.name = :site")
    return bool((await tx.execute(asked, {"site": name})).scalar_one_or_none())


async def is_bound(tx: AsyncConnection, stage_id: int) -> bool:
    """Whether a stage runs only where its asset's files were made."""
    asked = text(f"SELECT {BOUND} FROM track.stage s WHERE s.id = :stage")
    return bool((await tx.execute(asked, {"stage": stage_id})).scalar_one())


async def uses_archive(tx: AsyncConnection, attempt_id: int) -> bool:
    """Whether an attempt reads or writes files in the archive; False for one that is unknown."""
    asked = text(f"""
        SELECT {USES_ARCHIVE} FROM track.attempt t
        JOIN track.job j ON j.id = t.job_id JOIN track.stage s ON s.id = j.stage_id
        WHERE t.id = :attempt
    """)
    return bool((await tx.execute(asked, {"attempt": attempt_id})).scalar_one_or_none())


async def is_driven(tx: AsyncConnection, name: str) -> bool:
    """Whether a site's driver was seen lately."""
    asked = text(f"SELECT {DRIVEN} FROM track.site t WHERE t.name = :site")
    return bool((await tx.execute(asked, {"site": name})).scalar_one_or_none())


# What must outlive a site's driver is kept in the history, where an operator looks as well.
NODES = text("""
    SELECT new AS node, CAST(extract(epoch FROM now() - max(at)) AS float) AS age_s
    FROM track.history
    WHERE what = 'site.node' AND actor = :actor AND at > now() - make_interval(secs => :seconds)
    GROUP BY new
""")
# What started since a fault is in the history behind it, ids being drawn a little out of order.
LAST_FAULT = text("""
    SELECT h.new AS fault, CAST(extract(epoch FROM now() - h.at) AS float) AS age_s
    FROM (SELECT * FROM track.history
           WHERE what = 'site.fault' AND actor = :actor
             AND at > now() - make_interval(secs => :seconds)
           ORDER BY at DESC, id DESC LIMIT 1) h
    WHERE NOT EXISTS (
        SELECT 1 FROM track.history s
        CROSS JOIN LATERAL (SELECT site, started_at FROM track.attempt
                             WHERE id = s.attempt_id LIMIT 1) t
        WHERE s.id > h.id - 1000 AND s.what = 'job.state' AND s.new = 'running'
          AND t.site = :site AND t.started_at > h.at)
""")


async def note_node(tx: AsyncConnection, site: str, node: str, why: str) -> None:
    """Note a node that failed."""
    await record(tx, actor=_actor(site), what="site.node", new=node, why=why)


async def note_fault(tx: AsyncConnection, site: str, fault: str) -> None:
    """Note that a site is held for what its jobs end of before they start."""
    await record(tx, actor=_actor(site), what="site.fault", new=fault)


async def failed_nodes(tx: AsyncConnection, site: str, seconds: float) -> dict[str, float]:
    """Nodes that failed within so many seconds, and how long ago in seconds."""
    rows = await tx.execute(NODES, {"actor": _actor(site), "seconds": seconds})
    return {row.node: row.age_s for row in rows}


async def last_fault(tx: AsyncConnection, site: str, seconds: float) -> tuple[str, float] | None:
    """Why a site was held within so many seconds, and how long ago; None once a job started."""
    given = {"actor": _actor(site), "site": site, "seconds": seconds}
    row = (await tx.execute(LAST_FAULT, given)).one_or_none()
    return None if row is None else (row.fault, row.age_s)


def _actor(site: str) -> str:
    return f"driver:{site}"
