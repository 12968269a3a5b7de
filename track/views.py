"""The track record as DaSSCo's tools know it: a view of jobs, files and revisions.

No flag is stored. Each is read from the states of the asset's stages, which are known
by what they run, not by what their owner calls them. `docs/track-view.md` has the table.
"""

FLAGS = """
CREATE OR REPLACE VIEW track.dassco AS
WITH stages AS (
    SELECT j.asset_guid, s.kind, s.run, j.state, j.tries
    FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid AND a.pipeline_id = s.pipeline_id
), seen AS (
    SELECT a.guid,
        max(b.state) FILTER (WHERE b.run = 'ingest' AND b.kind = 'builtin') AS ingest,
        max(b.state) FILTER (WHERE b.run = 'create' AND b.kind = 'builtin') AS created,
        max(b.state) FILTER (WHERE b.run = 'upload' AND b.kind = 'builtin') AS uploaded,
        max(b.state) FILTER (WHERE b.run = 'synchronise' AND b.kind = 'builtin') AS synced,
        max(b.state) FILTER (WHERE b.run = 'open_share' AND b.kind = 'builtin') AS opened,
        max(b.state) FILTER (WHERE b.run = 'close_share' AND b.kind = 'builtin') AS closed,
        max(b.state) FILTER (WHERE b.run = 'finalise' AND b.kind = 'builtin') AS final,
        max(b.state) FILTER (WHERE b.run = 'load' AND b.kind = 'module') AS loaded,
        max(b.state) FILTER (WHERE b.run = 'upload' AND b.kind = 'module') AS uploader,
        max(b.state) FILTER (WHERE b.run = 'clean' AND b.kind = 'module') AS cleaned
    FROM track.asset a LEFT JOIN stages b ON b.asset_guid = a.guid
    GROUP BY a.guid
), jobs AS (
    SELECT j.asset_guid, array_agg(track.dassco_status(j.state, j.tries)) AS statuses,
           jsonb_agg(jsonb_build_object(
               'name', s.key,
               'status', track.dassco_status(j.state, j.tries),
               'priority', s.position + 1,
               'job_queued_time', t.queued_at,
               'job_start_time', t.started_at,
               'hpc_job_id', coalesce(t.external_id, t.started_by, '-9')
           ) ORDER BY s.position, s.id) AS job_list
    FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id AND s.kind <> 'builtin'
    JOIN track.asset a ON a.guid = j.asset_guid AND a.pipeline_id = s.pipeline_id
    LEFT JOIN track.attempt t ON t.id = j.attempt_id
    WHERE NOT (a.parent_guid IS NOT NULL AND s.run = 'upload' AND j.state IN ('waiting', 'ready'))
    GROUP BY j.asset_guid
), files AS (
    SELECT f.asset_guid, jsonb_agg(jsonb_build_object(
        'name', f.name, 'type', f.type, 'time_added', f.added_at, 'check_sum', f.crc32,
        'file_size', greatest(1, ceil(f.size_bytes / 1e6))::int,
        'erda_sync', CASE WHEN f.synchronised_at IS NULL THEN 'NO' ELSE 'YES' END,
        'deleted', f.deleted_at IS NOT NULL) ORDER BY f.name) AS file_list,
        bool_or(f.uploaded_at IS NOT NULL AND f.synchronised_at IS NULL) AS in_share
    FROM track.file f GROUP BY f.asset_guid
)
SELECT a.guid AS _id, a.created_at AS created_timestamp, p.name AS pipeline,
    a.batch_name AS batch_list_name,
    coalesce(jobs.job_list, '[]') AS job_list,
    CASE WHEN jobs.statuses IS NULL THEN 'DONE'
         WHEN 'ERROR' = ANY(jobs.statuses) THEN 'ERROR'
         WHEN jobs.statuses <@ ARRAY['DONE', 'SKIPPED'] THEN 'DONE'
         WHEN 'RUNNING' = ANY(jobs.statuses) THEN 'RUNNING'
         WHEN jobs.statuses && ARRAY['STARTING', 'QUEUED'] THEN 'STARTING'
         WHEN 'RETRY' = ANY(jobs.statuses) THEN 'RETRY'
         ELSE 'WAITING' END AS jobs_status,
    coalesce(files.file_list, '[]') AS file_list,
    'NONE' AS files_status,
    a.size_mb AS asset_size,
    CASE a.subject WHEN 'device target' THEN 'DEVICE_TARGET' WHEN 'specimen' THEN 'SPECIMEN'
         WHEN 'label' THEN 'LABEL' ELSE 'UNKNOWN' END AS asset_type,
    CASE WHEN s.cleaned = 'done' THEN 'NO'
         WHEN s.cleaned IN ('claimed', 'queued', 'running', 'returned') THEN 'AWAIT'
         WHEN s.loaded = 'failed' THEN 'ERROR'
         WHEN s.loaded = 'done' THEN 'YES'
         WHEN s.loaded IN ('claimed', 'queued', 'running', 'returned') THEN 'AWAIT'
         WHEN s.loaded IS NULL AND a.parent_guid IS NOT NULL AND s.uploader <> 'done' THEN 'YES'
         ELSE 'NO' END AS hpc_ready,
    CASE WHEN s.created = 'done' THEN 'YES'
         WHEN s.created = 'failed' THEN 'ERROR'
         WHEN s.ingest IS NOT NULL AND s.ingest <> 'done' THEN 'AWAIT'
         ELSE 'NO' END AS is_in_ars,
    CASE WHEN 'failed' IN (s.uploaded, s.uploader) THEN 'ERROR'
         WHEN s.synced = 'done' THEN 'NO'
         WHEN s.uploaded = 'done' OR s.uploader = 'done' THEN 'AWAIT'
         WHEN s.uploader IN ('claimed', 'queued', 'running', 'returned') THEN 'UPLOADING'
         WHEN s.ingest = 'done' OR (s.ingest IS NULL AND files.file_list IS NOT NULL) THEN 'YES'
         ELSE 'NO' END AS has_new_file,
    CASE WHEN s.opened = 'failed' THEN 'ERROR'
         WHEN track.share_is_open(a.guid) THEN 'YES'
         ELSE 'NO' END AS has_open_share,
    CASE WHEN s.synced = 'done' THEN 'YES'
         WHEN s.synced = 'failed' THEN 'ERROR'
         WHEN s.synced = 'claimed' THEN 'AWAIT'
         ELSE 'NO' END AS erda_sync,
    CASE WHEN d.revision > d.ars_revision AND s.created = 'done' THEN 'YES' ELSE 'NO'
         END AS update_metadata,
    CASE WHEN a.attention IS NOT NULL THEN 'PAUSED' WHEN a.quarantine IS NOT NULL THEN 'ERROR'
         ELSE 'YES' END AS available_for_services
FROM track.asset a
JOIN track.pipeline p ON p.id = a.pipeline_id
JOIN seen s ON s.guid = a.guid
LEFT JOIN jobs ON jobs.asset_guid = a.guid
LEFT JOIN files ON files.asset_guid = a.guid
LEFT JOIN metadata.document d ON d.asset_guid = a.guid
"""

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

ALL = (STATUS, SHARE, FLAGS)
"""In the order in which they have to be made."""
