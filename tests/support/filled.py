"""A database with any number of finished specimens and the same few that move, and what the
system asks it again and again.

The rows are those that the road leaves: jobs that are done, their attempts, history, documents,
messages, copies that are gone. They go in by INSERT … SELECT, without the checks of foreign keys.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.metrics import Metrics
from schemas.specimen_query import SpecimenQuery
from tasks.files.record_folders import read_table
from tests.support.filled_uploads import asked_of_uploads, fill_uploads
from tests.support.world import World, new
from track.commands import healing, resuming, shares, site_health
from track.commands.back_fill import back_fill_page
from track.jobs import (
    agent_claims,
    agent_leases,
    agents,
    batches,
    claims,
    outputs,
    parking,
    scripts,
    site_load,
    sites,
    takeover,
    verbs,
)  # fmt: skip
from track.jobs.batching import take_batches
from track.jobs.moves import Guard
from track.jobs.outlook import outlook
from track.records import aged, leaving, outbox, retention, sessions
from track.reports import (
    alarms,
    attention,
    degraded,
    durable,
    failing,
    figures,
    find,
    life,
    one_session,
    overdue,
    progress,
    stages,
    today,
    unattended,
    waiting,
)
from track.reports.agents import agents_seen, site_queues
from track.reports.printed import printed_ends
from track.reports.selected import selected
from track.schema.database import transact
from track.schema.hours import USAGE_COLUMNS, hour_of
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 400},
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
        {"key": "load", "run": "module load", "needs": "create"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
        {"key": "clean", "run": "module clean", "needs": "ocr"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "clean"},
        {"key": "finalise", "run": "refinery.finalise", "needs": "synchronise"},
    ],
}
SITE = "here"
MOVING = 240
PER_SESSION = 200
EVERY_S = 30
"""One specimen is done every so many seconds, the last one now."""

Ask = Callable[[AsyncConnection], Awaitable[Any]]

# `g` counts specimens from the oldest, `at` is when each was done.
_NUMBERED = """
    (SELECT g, 'old' || lpad(g::text, 8, '0') AS guid, now() - (:total - g) * interval '30 s' AS at
       FROM generate_series(CAST(:first AS bigint), :last) g) n
"""
_MEASURED = ", ".join(
    f"count(*), count(*) * {each}, {each}, {each}" for each in ("2.5", "2", "300", "0")
)
_STAGES = "track.pipeline p JOIN track.stage s ON s.pipeline_id = p.id WHERE p.name = 'P'"
_JOB = "7 * (n.g - 1) + s.position + 1"
_ATTEMPT = "3 * (n.g - 1) + s.position - 1"
_SESSION = f"CAST(md5('s' || (n.g - (n.g - 1) % {PER_SESSION})) AS uuid)"
_BATCH = f"3 * ((n.g - 1) / {PER_SESSION}) + s.position - 1"
"""Ids by the specimen's number and the stage's place, so that nothing has to be looked up."""

FILL = (
    f"""
    INSERT INTO track.session (id, path, opened_as, listing_hash, workstation, opened_at,
                               registered_at, finished_at)
    SELECT CAST(md5('s' || g) AS uuid), '/n/imported_' || g, '/n/' || g, 'h', 'W', at, at, at
    FROM {_NUMBERED} WHERE g % {PER_SESSION} = 1
    """,
    f"""
    INSERT INTO track.dispatcher (id, session_id, host, process, flow_run_id, started_at,
                                  alive_until, ended_at, ended_why)
    SELECT gen_random_uuid(), CAST(md5('s' || g) AS uuid), 'h', 1, gen_random_uuid(), at, at, at,
           'parked'
    FROM {_NUMBERED}, generate_series(1, 3) WHERE g % {PER_SESSION} = 1
    """,
    f"""
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, batch_name, subject,
                             source_path, local_path, size_mb, admitted_at, released_at,
                             finalised_at, created_at)
    SELECT guid, {_SESSION}, p.id, guid,
           'b' || (g - 1) / {PER_SESSION}, 'specimen', '/n', '/s', 160, at, at, at, at
    FROM {_NUMBERED}, track.pipeline p WHERE p.name = 'P'
    """,
    f"""
    INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, added_at, uploaded_at,
                            synchronised_at)
    SELECT guid, guid || '.tif', 'image', 1, 160000000, at, at, at FROM {_NUMBERED}
    """,
    fill_uploads(_NUMBERED, PER_SESSION),
    f"""
    INSERT INTO track.batch (id, key, site, stage_id, members, state, external_id, submitted_at,
                             ended_at)
    OVERRIDING SYSTEM VALUE
    SELECT {_BATCH}, 'old' || n.g || s.key, '{SITE}', s.id, '{{}}', 'ended', n.g::text, n.at, n.at
    FROM {_NUMBERED}, {_STAGES} AND s.kind = 'module' AND n.g % {PER_SESSION} = 1
    """,
    f"""
    INSERT INTO track.job (id, asset_guid, session_id, stage_id, state, updated_at, available_at,
                           attempt_id, effects)
    OVERRIDING SYSTEM VALUE
    SELECT {_JOB}, n.guid, {_SESSION}, s.id,
           CASE WHEN s.key = 'clean' AND n.g % 10 = 0 THEN 'excluded' ELSE 'done' END,
           n.at, n.at, CASE WHEN s.kind = 'module' THEN {_ATTEMPT} END, '{{"begun": true}}'
    FROM {_NUMBERED}, {_STAGES} ORDER BY n.g, s.position
    """,
    f"""
    INSERT INTO track.attempt (id, job_id, n, site, fence, batch_id, member, external_id,
                               started_by, nonce, queued_at, submitted_at, started_at, finished_at,
                               closed_at, outcome, exit_code, seconds, cpu_s, max_rss_mb, result)
    OVERRIDING SYSTEM VALUE
    SELECT {_ATTEMPT}, {_JOB}, 1, '{SITE}', 1, {_BATCH}, n.g % {PER_SESSION}, n.g || '_1',
           'native', 'x', n.at, n.at, n.at, n.at, n.at, 'done', 0, 2.5, 2, 300,
           '{{"usage": {{"seconds": 2.5, "cpu_s": 2}}}}'
    FROM {_NUMBERED}, {_STAGES} AND s.kind = 'module' ORDER BY n.g, s.position
    """,
    f"""
    INSERT INTO track.search (asset_guid, at, taken_at, numbers, words)
    SELECT guid, at, at, 'nhmd-' || lpad(g::text, 8, '0'), array_to_tsvector(ARRAY[
        'g:' || guid, 'b:nhmd-' || lpad(g::text, 8, '0'), 'c:c', 'w:w', 'p:p',
        'n:' || right((1000 + g % 1000)::text, 3), 'w' || g % 5000, 'w' || g % 17, 'w' || g % 331])
    FROM {_NUMBERED}
    """,
    """
    INSERT INTO track.job_total (stage_id, state, jobs)
    SELECT stage_id, state, count(*) FROM track.job
    WHERE id BETWEEN 7 * CAST(:first AS bigint) - 6 AND 7 * CAST(:last AS bigint) GROUP BY 1, 2
    """,
    """
    INSERT INTO track.usage_total (stage_id, site, images, seconds, cpu_s, peak_mb)
    SELECT stage_id, 'here', jobs, jobs * 2.5, jobs * 2, 300 FROM track.job_total
    JOIN track.stage s ON s.id = stage_id WHERE s.kind = 'module' AND :first = 1
    """,
    f"""
    INSERT INTO track.asset_hour (hour, sessions, images, derivatives, archived,
                                  archived_derivatives)
    SELECT {hour_of("n.at")}, count(*) FILTER (WHERE g % {PER_SESSION} = 1), count(*), 0, count(*),
           0
    FROM {_NUMBERED} GROUP BY 1
    """,
    f"""
    INSERT INTO track.usage_hour (hour, stage_id, site, {", ".join(USAGE_COLUMNS)})
    SELECT {hour_of("n.at")}, s.id, '{SITE}', {_MEASURED}
    FROM {_NUMBERED}, {_STAGES} AND s.kind = 'module' GROUP BY 1, 2
    """,
    f"""
    INSERT INTO track.history (at, actor, what, asset_guid, job_id, old, new)
    SELECT n.at, 'dispatcher', 'job.state', n.guid, {_JOB}, m.old, m.new
    FROM {_NUMBERED}, (VALUES (1, 'ready', 'claimed'), (2, 'claimed', 'done')) AS m(turn, old, new),
    {_STAGES} ORDER BY n.g, s.position, m.turn
    """,
    f"""
    INSERT INTO track.history (at, actor, what, old, new)
    SELECT n.at, 'driver:{SITE}', w.what, NULL, 'node' || n.g % 7
    FROM {_NUMBERED}, (VALUES ('site.node'), ('site.fault')) AS w(what) WHERE n.g % 50 = 49
    """,
    f"""
    INSERT INTO track.history (at, actor, what, old, new)
    SELECT n.at, 'reconcile', 'alarm.' || w.what, w.old, w.new
    FROM {_NUMBERED}, (VALUES ('service.watch', 'off', 'on'), ('service.watch', 'on', 'off'),
                              ('stage.P/ocr', 'on', 'off')) AS w(what, old, new) WHERE n.g % 50 = 19
    """,
    f"""
    INSERT INTO track.inbox (dedupe_key, path, kind, asset_guid, attempt_id, payload, applied,
                             received_at)
    SELECT m.kind || '|' || {_ATTEMPT}, '/attempts', m.kind, n.guid, {_ATTEMPT}, '{{"a": 1}}',
           'applied', n.at
    FROM {_NUMBERED}, (VALUES ('start'), ('complete')) AS m(kind), {_STAGES} AND s.kind = 'module'
    ORDER BY n.g
    """,
    f"""
    INSERT INTO metadata.document (asset_guid, body, arrived, arrived_version, revision,
                                   ars_revision, updated_at)
    SELECT guid, '{{"institution": "NHMD", "collection": "C"}}', '{{}}', '3', 2, 2, at
    FROM {_NUMBERED}
    """,
    f"""
    INSERT INTO metadata.revision (asset_guid, revision, at, actor, changes)
    SELECT guid, r, at, 'x', '[{{"field": "barcode"}}]' FROM {_NUMBERED}, generate_series(1, 2) r
    """,
    f"""
    INSERT INTO mos.member (asset_guid, label, spid, created_at)
    SELECT guid, false, guid, at FROM {_NUMBERED}
    """,
    f"""
    INSERT INTO track.retention (kind, asset_guid, location, due_at, done_at, outcome)
    SELECT k.kind, n.guid, k.location, n.at + interval '6 hours',
           CASE WHEN n.at < now() - interval '7 hours' THEN n.at END, 'removed'
    FROM {_NUMBERED}, (VALUES ('ndrive', '/n'), ('site', '{SITE}')) AS k(kind, location)
    """,
)
"""What is left of the specimens from `first` to `last`, of `total`."""

LEAVE_IDS = """
    SELECT setval(pg_get_serial_sequence('track.' || t, 'id'), 100000000)
    FROM unnest(CAST('{job,attempt,batch}' AS text[])) t
"""
"""What moves comes after ten million finished specimens, be they filled in before or later."""


@dataclass
class Filled:
    """A database with finished specimens, and what moves in it."""

    world: World
    finished: int = 0

    @classmethod
    async def make(cls, engine: AsyncEngine) -> "Filled":
        """With nothing in it but a pipeline and a site."""
        world = await World.make(engine, PIPELINE)
        await world.sql(LEAVE_IDS)
        return cls(world)

    async def fill(self, total: int, *, page: int = 20_000) -> None:
        """Add finished specimens, until there are so many."""
        while self.finished < total:
            last = min(total, self.finished + page)
            given = {"first": self.finished + 1, "last": last, "total": total}
            async with self.world.engine.begin() as tx:
                # It checks no foreign keys and calls no triggers, for it is rows by the million.
                await tx.execute(text("SET LOCAL session_replication_role = replica"))
                await tx.execute(text("SET LOCAL work_mem = '64MB'"))
                for statement in FILL:
                    await tx.execute(text(statement), given)
                await figures.fold_totals(tx)
            self.finished = last

    async def analyse(self) -> None:
        """Bring the planner's statistics and the visibility maps up to date."""
        async with self.world.engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM ANALYZE"))

    async def set_moving(self) -> None:
        """Have some specimens on their road: waiting, in hand, at a site, stopped, unpushed."""
        world = self.world
        guids = [f"g{n}" for n in range(MOVING)]
        await world.register(*map(new, guids))
        await world.describe(*guids)
        guard = Guard(dispatcher_id=world.dispatcher_id)
        by: Any = {"actor": "test", "guard": guard}
        for _ in ("ingest", "create"):
            ids = [found.job_id for found in await world.claim(limit=120)]
            await transact(world.engine, verbs.finish_all, ids, **by)
        loads = await world.claim(limit=100)
        attempts = [await world.enqueue(each.job_id, SITE) for each in loads[:80]]
        running = {"running": attempts[:20]}
        await world.sql(
            "UPDATE track.attempt SET started_at = now(), started_by = 'n'"
            " WHERE id = ANY(:running)",
            **running,
        )
        await world.sql(
            "UPDATE track.job SET state = 'running' WHERE attempt_id = ANY(:running)", **running
        )
        for each in loads[80:90]:
            failed: Any = {"why": "broken", **by}
            await transact(world.engine, verbs.end, each.job_id, State.FAILED, **failed)


VIEW = {
    "by guid": "_id = 'old00000500'",
    "by guids": "_id IN ('old00000500', 'g1', 'g2', 'g3', 'g4')",
    "by an array of guids": "_id = ANY(CAST('{old00000500,g1,g2}' AS text[]))",
    "by batch": "batch_list_name = 'b2'",
    "by batch and status": "batch_list_name = 'b2' AND jobs_status = 'DONE'",
    "by status": "jobs_status = 'ERROR'",
    "by statuses": "jobs_status IN ('RUNNING', 'STARTING')",
    "by batch and upload": "batch_list_name = 'b2' AND has_new_file = 'YES'",
    "of a pipeline by status": "pipeline = 'P' AND jobs_status = 'WAITING'",
}
"""How DaSSCo's tools look into the track record."""


def recurring(of: Filled) -> dict[str, Ask]:
    """What is asked again and again, by who asks; each to be called in a transaction."""
    session, dispatcher = of.world.session_id, of.world.dispatcher_id
    patience = timedelta(minutes=2)
    metrics = Metrics()
    asked: dict[str, Ask] = {
        "back-fill: a page": back_fill_page,
        "reconcile: forgotten": partial(healing.forgotten, patience=timedelta(0)),
        "reconcile: silent sites": partial(site_health.note_silence, actor="test"),
        "reconcile: modules that sites lack": site_health.wake_for_probes,
        "reconcile: opened again and over": verbs.release_if_over,
        "reconcile: unreadable files": healing.unreadable_files,
        "reconcile: silent dispatchers": partial(healing.close_silent, patience=patience),
        "reconcile: dead runs": partial(healing.dead_runs, patience=patience, within=3 * patience),
        "reconcile: known runs": partial(healing.known_runs, flow_run_ids=[uuid4(), uuid4()]),
        "reconcile: neglected": partial(healing.neglected, patience=timedelta(0)),
        "reconcile: unregistered": partial(healing.unregistered, patience=patience),
        "reconcile: unclosed": partial(healing.unclosed, patience=patience),
        "reconcile: parked": partial(parking.parked_longest, most=50),
        "reconcile: unpushed metadata": partial(healing.unpushed_metadata, patience=patience),
        "reconcile: leftover shares": partial(shares.leftovers, patience=patience),
        "reconcile: fold totals": figures.fold_totals,
        "alarms: overdue": overdue.announce_overdue,
        "alarms: overdue by site": overdue.watch_overdue,
        "alarms: sites": partial(degraded.watch_sites, drivers_away=False),
        "alarms: unattended sessions": unattended.unattended,
        "alarms: durable copies": durable.takes_no_files,
        "archive is back: what waited": resuming.resume,
        "archive is away: the one that is tried": resuming.try_one,
        "archive took files: did it refuse them": partial(resuming.resume_after, guid="g1"),
        "alarms: failing stages": failing.watch_stages,
        "alarms: said of services": partial(alarms.said_of, kind="service"),
        "announcer: due": partial(outbox.due, limit=100),
        "announcer: backlog": outbox.backlog,
        "announcer: abandoned": healing.abandoned,
        "announcer: parked and due": parking.wake_due,
        "watch: a listing that is known": partial(sessions.is_known, path="/n/1", listing_hash="h"),
        "dispatcher: take over": partial(
            takeover.release_jobs, session_id=session, actor="test", keep=dispatcher
        ),
        "dispatcher: outlook": partial(outlook, session_id=session),
        "dispatcher: claim": lambda tx: claims.claim(tx, session, dispatcher, limit=20),
        "dispatcher: returned": lambda tx: claims.returned(tx, session, limit=20),
        "dispatcher: crowded": parking.crowded,
        "dispatcher: what was printed": partial(printed_ends, jobs=[1, 2, 3]),
        "dispatcher: park": lambda tx: parking.wake_or_park(tx, session),
        "driver: seen": partial(site_health.seen, name=SITE),
        "driver: recover": partial(site_health.recover, name=SITE),
        "driver: leave": partial(site_health.leave, name=SITE, why="test"),
        "driver: open batches": partial(batches.open_batches, site=SITE),
        "driver: open arrays": partial(batches.open_arrays, site=SITE),
        "driver: unconfirmed batches": partial(batches.unconfirmed_batches, site=SITE),
        "driver: stages": partial(batches.stages_at, site=SITE),
        "driver: batches": partial(take_batches, site=SITE, members=50, size=50),
        "driver: spent batches": partial(batches.spent_batches, site=SITE),
        "driver: load": partial(site_load.read_load, site=SITE),
        "driver: news": partial(site_load.silent_for, site=SITE),
        "driver: unwanted": partial(site_load.unwanted, site=SITE),
        "driver: outputs": partial(outputs.wanted_outputs, site=SITE),
        "driver: scripts": partial(scripts.open_runs, site=SITE),
        "driver: copies that are due": partial(
            retention.due_at_site, site=SITE, after=retention.START, limit=100
        ),
        "driver's start: failed nodes": partial(sites.failed_nodes, site=SITE, seconds=86400),
        "driver's start: last fault": partial(sites.last_fault, site=SITE, seconds=3600),
        "reconcile: leases that ran out": partial(agent_leases.expired, limit=200),
        "agents: does work wait": agent_claims.work_waits,
        "agents: capacity of a site": partial(agents.capacity_of_site, name=SITE),
        "agents: units in use": partial(agent_claims.used_units, agent_id=1),
        "agents: heartbeat": partial(
            agent_leases.renew, agent_id=1, held={1: 1, 2: 1}, lease_s=900.0
        ),
        "agents: batches to keep": partial(
            agent_leases.batches_to_keep, agent_id=1, keys=["old1load"]
        ),
        "agents: what one holds": partial(agent_leases.held_by, agent_id=1),
        "agents: outputs at one": partial(agent_leases.outputs_at, agent_id=1),
        "people: sites and their queues": site_queues,
        "people: agents": agents_seen,
        "prune: due": retention.due,
        "prune: left to drivers": retention.leave_to_drivers,
        "records: a page": _records_page,
        **{
            f"records: old rows of {table}": partial(
                aged.aged_page, table=table, keep=timedelta(0), after=first, limit=50
            )
            for table, first in aged.START.items()
        },
        "people: what stands": waiting.anywhere,
        "board: a session's head": partial(one_session.session_head, session_id=session),
        "board: a session's stages": partial(one_session.session_stages, session_id=session),
        "board: a session's totals": partial(one_session.session_totals, session_id=session),
        "board: a session's specimens": partial(one_session.session_tiles, session_id=session),
        "board: those of it that need a person": partial(
            one_session.session_tiles, session_id=session, with_person=True
        ),
        "board: what of it is quarantined": partial(
            one_session.quarantined_files, session_id=session
        ),
        "board: what needs a person": attention.needs_person,
        "board: what a resubmit would meet": partial(selected, stage="load", pipeline="P"),
        "people: find a barcode": partial(find.find, query=SpecimenQuery(barcode="NHMD-00000500")),
        "people: find anything": partial(find.find, query=SpecimenQuery(q="NHMD-00000500")),
        "people: find part of a number": partial(find.find, query=SpecimenQuery(number="00000500")),
        "people: find what is under way": partial(
            find.find, query=SpecimenQuery(state="underway", collection="c")
        ),
        "people: find what needs a person": partial(find.find, query=SpecimenQuery(state="person")),
        "people: one specimen": partial(life.life_of, guid="old00000500"),
        "people: today": today.read_today,
        "people: pipelines": stages.pipelines_seen,
        "people: a session": partial(progress.session_progress, session_id=session),
        "Prometheus: page": metrics.page,
        **asked_of_uploads(),
    }
    for how, condition in VIEW.items():
        asked[f"track record {how}"] = _view(condition)
    return asked


async def _records_page(tx: AsyncConnection) -> int:
    """Have the records of a few old assets leave, but for the file that they go to."""
    page = await leaving.old_page(tx, timedelta(0), limit=50)
    assert len(page.leaving) == 50, page
    rows = {each: await leaving.copy_out(tx, each, page.leaving) for each in leaving.TABLES}
    ids = {table: read_table(csv)[0] for table, csv in rows.items()}
    return await leaving.drop(tx, page.leaving, ids, "folder")


def _view(condition: str) -> Ask:
    async def ask(tx: AsyncConnection) -> Any:
        return (await tx.execute(text(f"SELECT * FROM track.dassco WHERE {condition}"))).all()

    return ask
