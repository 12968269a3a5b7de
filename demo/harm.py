"""What must never be true of a system, whatever struck it: questions that find nothing.

Asked of the databases once everything has ended; each finding is named in plain words.
"""

from demo.lab import victims
from refinery.settings import Settings

TWICE = {
    ("refinery", "granted twice"): """
        SELECT attempt_id FROM track.inbox WHERE kind = 'start' AND applied = 'applied'
        GROUP BY attempt_id HAVING count(*) > 1""",
    ("refinery", "run again though it was done"): """
        SELECT h.job_id FROM track.history h WHERE h.what = 'job.state' AND h.new = 'done'
        GROUP BY h.job_id HAVING count(*) > 1 + (
            SELECT count(*) FROM track.history u WHERE u.job_id = h.job_id
               AND u.what = 'job.state' AND u.old = 'done' AND u.new = 'waiting')""",
    ("ars", "created twice"): """
        SELECT asset_guid FROM ars.event WHERE event = 'CREATE_ASSET_METADATA'
        GROUP BY asset_guid HAVING count(*) > 1""",
}
"""What must not happen more than once: queries that find nothing, by database and what they find.
"""

UNTRUE = {
    ("refinery", "called finalised, and a stage of it failed"): """
        SELECT a.guid FROM track.asset a WHERE a.finalised_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM track.job j JOIN track.stage s ON s.id = j.stage_id
             WHERE j.asset_guid = a.guid AND s.archived_at IS NULL
               AND j.state IN ('failed', 'cancelled'))""",
    ("refinery", "over, and counted as in flight"): """
        SELECT a.guid FROM track.asset a
         WHERE a.parent_guid IS NULL AND a.admitted_at IS NOT NULL AND a.released_at IS NULL
           AND NOT EXISTS (
            SELECT 1 FROM track.job j JOIN track.asset o ON o.guid = j.asset_guid
             WHERE (o.guid = a.guid OR o.parent_guid = a.guid)
               AND j.state NOT IN ('absent', 'done', 'excluded', 'failed', 'cancelled'))""",
    ("refinery", "not where its history leads"): """
        SELECT j.id FROM track.job j JOIN LATERAL (
            SELECT h.new FROM track.history h WHERE h.job_id = j.id AND h.what = 'job.state'
             ORDER BY h.id DESC LIMIT 1) last ON last.new <> j.state""",
    ("refinery", "an attempt left open by its job"): """
        SELECT t.id FROM track.attempt t JOIN track.job j ON j.id = t.job_id
         WHERE t.closed_at IS NULL
           AND (j.attempt_id IS DISTINCT FROM t.id OR j.state NOT IN ('queued', 'running'))""",
}

"""What a database must not say, asked in the same way."""

OPEN_SHARES = "SELECT asset_guid FROM ars.share"
NOTHING_IN_HAND = """
    SELECT a.guid FROM track.asset a WHERE NOT EXISTS (
        SELECT 1 FROM track.job j WHERE j.asset_guid = a.guid
           AND j.state NOT IN ('absent', 'done', 'excluded', 'failed', 'cancelled'))
"""


def found(settings: Settings, queries: dict[tuple[str, str], str]) -> set[str]:
    """What these queries find, each in plain words."""
    return {
        f"{what}: {row[0]}"
        for (database, what), statement in queries.items()
        for row in victims.ask(settings, statement, database)
    }


def open_shares(settings: Settings) -> set[str]:
    """Assets whose share is open in the archive though nothing of them is in hand."""
    idle = {str(guid) for (guid,) in victims.ask(settings, NOTHING_IN_HAND)}
    shared = {str(guid) for (guid,) in victims.ask(settings, OPEN_SHARES, "ars")}
    return idle & shared
