"""The track record as DaSSCo's tools know it: a view of jobs, files and revisions.

No flag is stored. Each is read from the states of the asset's stages, which are known
by what they run, not by what their owner calls them; a script, by the name that the job it
does has always had. `docs/track-view.md` has the table.

Everything is read asset by asset, so that a look at one batch touches no other; the lists are
read only where they are asked for.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MODULE_CALLED = {
    "assetLoader": "load",
    "barcodeReader": "barcode",
    "OCR": "ocr",
    "derivative_upload": "upload",
    "assetUploader": "upload",
    "uploader": "upload",
    "assetDeleter": "clean",
    "clean_up": "clean",
}
"""Names that scripts have had for a job, and the module that does it today."""

_PART = """
SELECT a.guid AS _id, a.created_at AS created_timestamp, p.name AS pipeline,
    a.batch_name AS batch_list_name,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'name', l.key,
                'status', track.dassco_status(l.state, l.tries),
                'priority', l.priority,
                'job_queued_time', t.queued_at,
                'job_start_time', t.started_at,
                'hpc_job_id', coalesce(t.external_id, t.started_by, CASE WHEN l.kind = 'script'
                    THEN substring(b.external_id FROM '^[0-9]+') END, '-9')
            ) ORDER BY l.priority), '[]')
       FROM (SELECT st.key, st.kind, j.state, j.tries, j.attempt_id,
                    row_number() OVER (ORDER BY st.position, st.id) AS priority
               FROM track.job j
               JOIN track.stage st ON st.id = j.stage_id AND st.pipeline_id = a.pipeline_id
              WHERE j.asset_guid = a.guid AND st.kind <> 'builtin' AND NOT track.dassco_hides(
                    a.parent_guid, track.dassco_does(st.kind, st.run, st.key), j.state)) l
       LEFT JOIN track.attempt t ON t.id = l.attempt_id
       LEFT JOIN track.batch b ON b.id = t.batch_id) AS job_list,
    <jobs_status> AS jobs_status,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'name', f.name, 'type', f.type, 'time_added', f.added_at, 'check_sum', f.crc32,
                'file_size', greatest(1, ceil(f.size_bytes / 1e6))::int,
                'ars_link', CASE WHEN f.deleted_at IS NULL AND o.proxy_path <> ''
                            THEN o.proxy_path || track.url_step(f.name) ELSE '' END,
                'erda_sync', CASE WHEN f.synchronised_at IS NULL THEN 'NO' ELSE 'YES' END,
                'deleted', f.deleted_at IS NOT NULL) ORDER BY f.name), '[]')
       FROM track.file f WHERE f.asset_guid = a.guid) AS file_list,
    'NONE' AS files_status,
    a.size_mb AS asset_size,
    CASE a.subject WHEN 'device target' THEN 'DEVICE_TARGET' WHEN 'specimen' THEN 'SPECIMEN'
         WHEN 'label' THEN 'LABEL' ELSE 'UNKNOWN' END AS asset_type,
    CASE WHEN s.cleaned = 'done' THEN 'NO'
         WHEN s.cleaned IN ('claimed', 'queued', 'running', 'returned') THEN 'AWAIT'
         WHEN s.loaded = 'failed' THEN 'ERROR'
         WHEN s.loaded = 'done' THEN 'YES'
         WHEN s.loaded IN ('claimed', 'queued', 'running', 'returned') THEN 'AWAIT'
         WHEN s.loaded IS NULL AND a.parent_guid IS NOT NULL
              AND (s.uploader <> 'done' OR s.cleaned NOT IN ('absent', 'excluded')) THEN 'YES'
         ELSE 'NO' END AS hpc_ready,
    CASE WHEN s.created = 'done' THEN 'YES'
         WHEN s.created = 'failed' THEN 'ERROR'
         WHEN s.ingest IS NOT NULL AND s.ingest <> 'done' THEN 'AWAIT'
         ELSE 'NO' END AS is_in_ars,
    CASE WHEN 'failed' IN (s.uploaded, s.uploader) THEN 'ERROR'
         WHEN s.synced = 'done' THEN 'NO'
         WHEN s.uploaded = 'done' OR s.uploader = 'done' THEN 'AWAIT'
         WHEN s.uploader IN ('claimed', 'queued', 'running', 'returned') THEN 'UPLOADING'
         WHEN s.ingest = 'done' OR (s.ingest IS NULL AND EXISTS (
              SELECT 1 FROM track.file f WHERE f.asset_guid = a.guid)) THEN 'YES'
         ELSE 'NO' END AS has_new_file,
    h.has_open_share,
    CASE WHEN s.synced = 'done' THEN 'YES'
         WHEN s.synced = 'failed' THEN 'ERROR'
         WHEN s.synced = 'claimed' THEN 'AWAIT'
         ELSE 'NO' END AS erda_sync,
    CASE WHEN d.revision > d.ars_revision AND s.created = 'done' THEN 'YES' ELSE 'NO'
         END AS update_metadata,
    CASE WHEN a.attention IS NOT NULL THEN 'PAUSED' WHEN a.quarantine IS NOT NULL THEN 'ERROR'
         ELSE 'YES' END AS available_for_services,
    o.proxy_path
FROM track.asset a
JOIN track.pipeline p ON p.id = a.pipeline_id
LEFT JOIN metadata.document d ON d.asset_guid = a.guid
CROSS JOIN LATERAL (
    SELECT max(j.state) FILTER (WHERE x.does = 'refinery.ingest') AS ingest,
        max(j.state) FILTER (WHERE x.does = 'refinery.create') AS created,
        max(j.state) FILTER (WHERE x.does = 'refinery.upload') AS uploaded,
        max(j.state) FILTER (WHERE x.does = 'refinery.synchronise') AS synced,
        max(j.state) FILTER (WHERE x.does = 'refinery.open_share') AS opened,
        max(j.state) FILTER (WHERE x.does = 'load') AS loaded,
        max(j.state) FILTER (WHERE x.does = 'upload') AS uploader,
        max(j.state) FILTER (WHERE x.does = 'clean') AS cleaned,
        array_agg(track.dassco_status(j.state, j.tries)) FILTER (WHERE st.kind <> 'builtin'
            AND NOT track.dassco_hides(a.parent_guid, x.does, j.state)) AS statuses
    FROM track.job j
    JOIN track.stage st ON st.id = j.stage_id AND st.pipeline_id = a.pipeline_id
    CROSS JOIN LATERAL (SELECT track.dassco_does(st.kind, st.run, st.key) AS does) x
    WHERE j.asset_guid = a.guid
) s
CROSS JOIN LATERAL (SELECT
    CASE WHEN s.opened = 'failed' THEN 'ERROR'
         WHEN track.share_is_open(a.guid) THEN 'YES'
         ELSE 'NO' END AS has_open_share
) h
CROSS JOIN LATERAL (SELECT
    CASE WHEN h.has_open_share = 'YES' AND d.body IS NOT NULL
         THEN track.file_proxy() || '/assetfiles/' || track.url_step(d.body ->> 'institution')
              || '/' || track.url_step(d.body ->> 'collection')
              || '/' || track.url_step(a.guid) || '/'
         ELSE '' END AS proxy_path
) o
WHERE <which> (SELECT 1 FROM track.job open
    WHERE open.asset_guid = a.guid AND open.state NOT IN ('done', 'excluded'))
"""

_JOBS_STATUS = """CASE WHEN s.statuses IS NULL THEN 'DONE'
         WHEN 'ERROR' = ANY(s.statuses) THEN 'ERROR'
         WHEN s.statuses <@ ARRAY['DONE', 'SKIPPED'] THEN 'DONE'
         WHEN 'RUNNING' = ANY(s.statuses) THEN 'RUNNING'
         WHEN s.statuses && ARRAY['STARTING', 'QUEUED'] THEN 'STARTING'
         WHEN 'RETRY' = ANY(s.statuses) THEN 'RETRY'
         ELSE 'WAITING' END"""

FLAGS = "CREATE OR REPLACE VIEW track.dassco AS" + " UNION ALL ".join(
    _PART.replace("<jobs_status>", status).replace("<which>", which)
    for status, which in ((_JOBS_STATUS, "EXISTS"), ("'DONE'", "NOT EXISTS"))
)
"""Two parts: assets with a job that is not over, found by the index job_open, and all others. Their
`jobs_status` is one word, so that a look for another word leaves that part out."""

STATUS = """
CREATE OR REPLACE FUNCTION track.dassco_status(state text, tries integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE state
        WHEN 'absent' THEN 'NONE'
        WHEN 'waiting' THEN 'WAITING'
        WHEN 'ready' THEN CASE WHEN tries > 0 THEN 'RETRY' ELSE 'WAITING' END
        WHEN 'claimed' THEN 'STARTING'
        WHEN 'queued' THEN 'QUEUED'
        WHEN 'running' THEN 'RUNNING'
        WHEN 'returned' THEN 'RUNNING'
        WHEN 'done' THEN 'DONE'
        WHEN 'excluded' THEN 'SKIPPED'
        WHEN 'failed' THEN 'ERROR'
        WHEN 'cancelled' THEN 'STOPPED'
    END
$$
"""

SHARE = """
CREATE OR REPLACE FUNCTION track.share_is_open(the_guid text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM track.asset WHERE guid = the_guid AND share_mb IS NOT NULL);
END
$$
"""
"""Of a language that PostgreSQL does not check beforehand: the first migration makes the view,
and a later one the column."""

DOES = f"""
CREATE OR REPLACE FUNCTION track.dassco_does(kind text, run text, key text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
        WHEN 'builtin' THEN 'refinery.' || run
        WHEN 'module' THEN run
        ELSE CASE key
            {" ".join(f"WHEN '{name}' THEN '{does}'" for name, does in MODULE_CALLED.items())}
            ELSE key END
    END
$$
"""
"""What a stage does: a built-in, or the module whose work it is, be it a script's."""

HIDES = """
CREATE OR REPLACE FUNCTION track.dassco_hides(parent_guid text, does text, state text)
RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT parent_guid IS NOT NULL AND does IN ('upload', 'clean') AND state IN ('waiting', 'ready')
$$
"""
"""Whether a job is not in the list yet: a derivative's are put there when they begin."""

STEP = """
CREATE OR REPLACE FUNCTION track.url_step(step text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN step ~ '^[.]+$' THEN repeat('%2E', length(step)) ELSE coalesce((
        SELECT string_agg(CASE WHEN c.letter ~ '^[A-Za-z0-9_.~-]$' THEN c.letter
            ELSE regexp_replace(upper(encode(convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\\1',
                                'g') END, '' ORDER BY c.place)
        FROM regexp_split_to_table(step, '') WITH ORDINALITY AS c(letter, place)), '') END
$$
"""
"""One step of a path in a URL, as `track.commands.grants.file_url` writes it."""

PROXY = """
CREATE OR REPLACE FUNCTION track.file_proxy() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT {address} $$
"""
"""The base of the archive's file service, which no table knows: every start writes it anew."""

ALL = (STATUS, SHARE, DOES, HIDES, STEP, PROXY.format(address="''::text"), FLAGS)
"""In the order in which they have to be made."""


async def name_file_proxy(tx: AsyncConnection, address: str) -> None:
    """Have the view say where the archive's file service is; done at every start."""
    if (await tx.execute(text("SELECT track.file_proxy()"))).scalar_one() == address:
        return
    literal = "'" + address.replace("'", "''") + "'::text"
    await tx.execute(text(PROXY.format(address=literal).replace(":", "\\:")))
