-- A database of revision 0011 with work in flight, as a museum's installation leaves it when
-- its machine goes down; tests/integration/track/schema/test_upgrade.py carries it on.
--
-- Sessions, by the last step of their path:
--   finished         final and its derivative final_72 are finalised, and their copies are due;
--                    the last revision of final's metadata is not pushed
--   parked           later is put off, till a time that has passed by now
--   died             its dispatcher died. Claimed: claimed, attention (held for a person) and
--                    emitted_72. Ready: ready. Queued: queued_here (in a local batch), queued_array
--                    (in array 4711 of slurm) and queued_unsent (slurm). Running: running, started
--                    as 4711_0. Returned: returned, whose output is awaited. Failed: failed.
--                    emitted (a specimen) and returned (a label) are one object, by label D1.
--                    Two events are owed: running's start and the call for a person
--   refused          plain and drawer (a file called `drawer 4: left.tif`) are in quarantine; its
--                    dispatcher died before it closed the folder
--   asked            a dispatcher is asked for, and nobody was told
--   asked_and_told   a dispatcher is asked for, and Prefect was told
--   unannounced      opened, and nobody was told that it is ready
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE SCHEMA metadata;
CREATE SCHEMA mos;
CREATE SCHEMA track;
CREATE FUNCTION track.ask_for_dispatchers(wanted uuid[], due timestamp with time zone[]) RETURNS SETOF uuid
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Many callbacks come at once: they share the lock of a session that has a dispatcher. One
    -- that seems to have none is locked for writing from the start, since two that share a lock
    -- and both want to write would wait for each other.
    IF EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = ANY(wanted)) THEN
        PERFORM 1 FROM track.session WHERE id = ANY(wanted) ORDER BY id FOR NO KEY UPDATE;
    ELSE
        PERFORM 1 FROM track.session WHERE id = ANY(wanted) ORDER BY id FOR SHARE;
    END IF;
    -- Leases are read only now: whoever parks writes the session's row when it gives up its own.
    -- What may run later only is noted: the clock asks when it is due.
    IF EXISTS (SELECT 1 FROM unnest(due) AS t(at) WHERE t.at > now()) THEN
        UPDATE track.session s SET wake_at = least(s.wake_at, w.at), finished_at = NULL
          FROM unnest(wanted, due) AS w(id, at)
         WHERE s.id = w.id AND w.at > now()
           AND EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = s.id);
    END IF;
    RETURN QUERY
        UPDATE track.session s
           SET wake_requested_at = now(), wake_announced_at = NULL, finished_at = NULL
          FROM unnest(wanted, due) AS w(id, at)
         WHERE s.id = w.id AND coalesce(w.at, now()) <= now()
           AND EXISTS (SELECT 1 FROM track.unattended u WHERE u.id = s.id)
        RETURNING s.id;
    IF FOUND THEN
        PERFORM pg_notify('refinery_announce', '');
    END IF;
END $$;
CREATE FUNCTION track.dassco_does(kind text, run text, key text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE kind
        WHEN 'builtin' THEN 'refinery.' || run
        WHEN 'module' THEN run
        ELSE CASE key
            WHEN 'assetLoader' THEN 'load' WHEN 'barcodeReader' THEN 'barcode' WHEN 'OCR' THEN 'ocr' WHEN 'derivative_upload' THEN 'upload' WHEN 'assetUploader' THEN 'upload' WHEN 'uploader' THEN 'upload' WHEN 'assetDeleter' THEN 'clean' WHEN 'clean_up' THEN 'clean'
            ELSE key END
    END
$$;
CREATE FUNCTION track.dassco_hides(parent_guid text, does text, state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT parent_guid IS NOT NULL AND does IN ('upload', 'clean') AND state IN ('waiting', 'ready')
$$;
CREATE FUNCTION track.dassco_status(state text, tries integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
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
$$;
CREATE FUNCTION track.file_proxy() RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT ''::text $$;
CREATE FUNCTION track.share_is_open(the_guid text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM track.asset WHERE guid = the_guid AND share_mb IS NOT NULL);
END
$$;
CREATE FUNCTION track.url_step(step text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
    SELECT CASE WHEN step ~ '^[.]+$' THEN repeat('%2E', length(step)) ELSE coalesce((
        SELECT string_agg(CASE WHEN c.letter ~ '^[A-Za-z0-9_.~-]$' THEN c.letter
            ELSE regexp_replace(upper(encode(convert_to(c.letter, 'UTF8'), 'hex')), '(..)', '%\1',
                                'g') END, '' ORDER BY c.place)
        FROM regexp_split_to_table(step, '') WITH ORDINALITY AS c(letter, place)), '') END
$_$;
CREATE TABLE metadata.document (
    asset_guid text NOT NULL,
    body jsonb NOT NULL,
    arrived jsonb NOT NULL,
    arrived_version text NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    ars_revision integer DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE metadata.revision (
    asset_guid text NOT NULL,
    revision integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    changes jsonb NOT NULL
);
CREATE TABLE mos.member (
    asset_guid text NOT NULL,
    label boolean NOT NULL,
    spid text NOT NULL,
    disposable_id text,
    unique_label_id text,
    own_barcodes text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE track.asset (
    guid text NOT NULL,
    session_id uuid NOT NULL,
    pipeline_id bigint NOT NULL,
    parent_guid text,
    file_name text NOT NULL,
    batch_name text DEFAULT ''::text NOT NULL,
    subject text DEFAULT 'unknown'::text NOT NULL,
    ppi integer,
    x integer,
    y integer,
    z integer,
    priority integer DEFAULT 0 NOT NULL,
    attention text,
    quarantine text,
    source_path text,
    local_path text,
    size_mb integer DEFAULT 1 NOT NULL,
    reserved_mb integer DEFAULT 0 NOT NULL,
    admitted_at timestamp with time zone,
    released_at timestamp with time zone,
    finalised_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    share_mb integer,
    share_opened_at timestamp with time zone,
    reopened_at timestamp with time zone
);
CREATE TABLE track.attempt (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    n integer NOT NULL,
    site text NOT NULL,
    fence bigint NOT NULL,
    batch_id bigint,
    member integer,
    external_id text,
    started_by text,
    nonce text,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    submitted_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    closed_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    outcome text,
    exit_code integer,
    seconds double precision,
    cpu_s double precision,
    max_rss_mb double precision,
    message text,
    result jsonb
);
ALTER TABLE track.attempt ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.attempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.batch (
    id bigint NOT NULL,
    key text NOT NULL,
    site text NOT NULL,
    stage_id bigint NOT NULL,
    resources jsonb DEFAULT '{}'::jsonb NOT NULL,
    members bigint[] NOT NULL,
    state text DEFAULT 'intended'::text NOT NULL,
    external_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    submitted_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT batch_state CHECK ((state = ANY (ARRAY['intended'::text, 'submitted'::text, 'refused'::text, 'ended'::text])))
);
ALTER TABLE track.batch ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.file (
    id bigint NOT NULL,
    asset_guid text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    mime_type text DEFAULT 'application/octet-stream'::text NOT NULL,
    crc32 bigint NOT NULL,
    sha256 text,
    size_bytes bigint NOT NULL,
    site text,
    added_at timestamp with time zone DEFAULT now() NOT NULL,
    uploaded_at timestamp with time zone,
    synchronised_at timestamp with time zone,
    deleted_at timestamp with time zone,
    source_mtime bigint
);
CREATE TABLE track.job (
    id bigint NOT NULL,
    asset_guid text NOT NULL,
    stage_id bigint NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    reason text,
    warning text,
    tries integer DEFAULT 0 NOT NULL,
    available_at timestamp with time zone DEFAULT now() NOT NULL,
    redo boolean DEFAULT false NOT NULL,
    declared integer,
    effects jsonb DEFAULT '{}'::jsonb NOT NULL,
    details jsonb,
    dispatcher_id uuid,
    attempt_id bigint,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    pauses integer DEFAULT 0 NOT NULL,
    CONSTRAINT job_state CHECK ((state = ANY (ARRAY['absent'::text, 'waiting'::text, 'ready'::text, 'claimed'::text, 'queued'::text, 'running'::text, 'returned'::text, 'done'::text, 'excluded'::text, 'failed'::text, 'cancelled'::text])))
);
CREATE TABLE track.pipeline (
    id bigint NOT NULL,
    name text NOT NULL,
    definition jsonb NOT NULL,
    definition_hash text NOT NULL,
    throttle jsonb DEFAULT '{}'::jsonb NOT NULL,
    exclude jsonb DEFAULT '[]'::jsonb NOT NULL,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE track.stage (
    id bigint NOT NULL,
    pipeline_id bigint NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    run text NOT NULL,
    "position" integer NOT NULL,
    params jsonb DEFAULT '{}'::jsonb NOT NULL,
    resources jsonb DEFAULT '{}'::jsonb NOT NULL,
    writes jsonb DEFAULT '[]'::jsonb NOT NULL,
    sites jsonb,
    emits text,
    covers jsonb DEFAULT '[]'::jsonb NOT NULL,
    retries integer DEFAULT 2 NOT NULL,
    active boolean DEFAULT true NOT NULL,
    archived_at timestamp with time zone,
    filled_to text,
    judged_to text,
    CONSTRAINT stage_kind CHECK ((kind = ANY (ARRAY['builtin'::text, 'module'::text, 'script'::text])))
);
CREATE VIEW track.dassco AS
 SELECT a.guid AS _id,
    a.created_at AS created_timestamp,
    p.name AS pipeline,
    a.batch_name AS batch_list_name,
    ( SELECT COALESCE(jsonb_agg(jsonb_build_object('name', l.key, 'status', track.dassco_status(l.state, l.tries), 'priority', l.priority, 'job_queued_time', t.queued_at, 'job_start_time', t.started_at, 'hpc_job_id', COALESCE(t.external_id, t.started_by,
                CASE
                    WHEN (l.kind = 'script'::text) THEN "substring"(b.external_id, '^[0-9]+'::text)
                    ELSE NULL::text
                END, '-9'::text)) ORDER BY l.priority), '[]'::jsonb) AS "coalesce"
           FROM ((( SELECT st.key,
                    st.kind,
                    j.state,
                    j.tries,
                    j.attempt_id,
                    row_number() OVER (ORDER BY st."position", st.id) AS priority
                   FROM (track.job j
                     JOIN track.stage st ON (((st.id = j.stage_id) AND (st.pipeline_id = a.pipeline_id))))
                  WHERE ((j.asset_guid = a.guid) AND (st.kind <> 'builtin'::text) AND (NOT track.dassco_hides(a.parent_guid, track.dassco_does(st.kind, st.run, st.key), j.state)))) l
             LEFT JOIN track.attempt t ON ((t.id = l.attempt_id)))
             LEFT JOIN track.batch b ON ((b.id = t.batch_id)))) AS job_list,
        CASE
            WHEN (s.statuses IS NULL) THEN 'DONE'::text
            WHEN ('ERROR'::text = ANY (s.statuses)) THEN 'ERROR'::text
            WHEN (s.statuses <@ ARRAY['DONE'::text, 'SKIPPED'::text]) THEN 'DONE'::text
            WHEN ('RUNNING'::text = ANY (s.statuses)) THEN 'RUNNING'::text
            WHEN (s.statuses && ARRAY['STARTING'::text, 'QUEUED'::text]) THEN 'STARTING'::text
            WHEN ('RETRY'::text = ANY (s.statuses)) THEN 'RETRY'::text
            ELSE 'WAITING'::text
        END AS jobs_status,
    ( SELECT COALESCE(jsonb_agg(jsonb_build_object('name', f.name, 'type', f.type, 'time_added', f.added_at, 'check_sum', f.crc32, 'file_size', (GREATEST((1)::numeric, ceil(((f.size_bytes)::numeric / '1000000'::numeric))))::integer, 'ars_link',
                CASE
                    WHEN ((f.deleted_at IS NULL) AND (o.proxy_path <> ''::text)) THEN (o.proxy_path || track.url_step(f.name))
                    ELSE ''::text
                END, 'erda_sync',
                CASE
                    WHEN (f.synchronised_at IS NULL) THEN 'NO'::text
                    ELSE 'YES'::text
                END, 'deleted', (f.deleted_at IS NOT NULL)) ORDER BY f.name), '[]'::jsonb) AS "coalesce"
           FROM track.file f
          WHERE (f.asset_guid = a.guid)) AS file_list,
    'NONE'::text AS files_status,
    a.size_mb AS asset_size,
        CASE a.subject
            WHEN 'device target'::text THEN 'DEVICE_TARGET'::text
            WHEN 'specimen'::text THEN 'SPECIMEN'::text
            WHEN 'label'::text THEN 'LABEL'::text
            ELSE 'UNKNOWN'::text
        END AS asset_type,
        CASE
            WHEN (s.cleaned = 'done'::text) THEN 'NO'::text
            WHEN (s.cleaned = ANY (ARRAY['claimed'::text, 'queued'::text, 'running'::text, 'returned'::text])) THEN 'AWAIT'::text
            WHEN (s.loaded = 'failed'::text) THEN 'ERROR'::text
            WHEN (s.loaded = 'done'::text) THEN 'YES'::text
            WHEN (s.loaded = ANY (ARRAY['claimed'::text, 'queued'::text, 'running'::text, 'returned'::text])) THEN 'AWAIT'::text
            WHEN ((s.loaded IS NULL) AND (a.parent_guid IS NOT NULL) AND ((s.uploader <> 'done'::text) OR (s.cleaned <> ALL (ARRAY['absent'::text, 'excluded'::text])))) THEN 'YES'::text
            ELSE 'NO'::text
        END AS hpc_ready,
        CASE
            WHEN (s.created = 'done'::text) THEN 'YES'::text
            WHEN (s.created = 'failed'::text) THEN 'ERROR'::text
            WHEN ((s.ingest IS NOT NULL) AND (s.ingest <> 'done'::text)) THEN 'AWAIT'::text
            ELSE 'NO'::text
        END AS is_in_ars,
        CASE
            WHEN (('failed'::text = s.uploaded) OR ('failed'::text = s.uploader)) THEN 'ERROR'::text
            WHEN (s.synced = 'done'::text) THEN 'NO'::text
            WHEN ((s.uploaded = 'done'::text) OR (s.uploader = 'done'::text)) THEN 'AWAIT'::text
            WHEN (s.uploader = ANY (ARRAY['claimed'::text, 'queued'::text, 'running'::text, 'returned'::text])) THEN 'UPLOADING'::text
            WHEN ((s.ingest = 'done'::text) OR ((s.ingest IS NULL) AND (EXISTS ( SELECT 1
               FROM track.file f
              WHERE (f.asset_guid = a.guid))))) THEN 'YES'::text
            ELSE 'NO'::text
        END AS has_new_file,
    h.has_open_share,
        CASE
            WHEN (s.synced = 'done'::text) THEN 'YES'::text
            WHEN (s.synced = 'failed'::text) THEN 'ERROR'::text
            WHEN (s.synced = 'claimed'::text) THEN 'AWAIT'::text
            ELSE 'NO'::text
        END AS erda_sync,
        CASE
            WHEN ((d.revision > d.ars_revision) AND (s.created = 'done'::text)) THEN 'YES'::text
            ELSE 'NO'::text
        END AS update_metadata,
        CASE
            WHEN (a.attention IS NOT NULL) THEN 'PAUSED'::text
            WHEN (a.quarantine IS NOT NULL) THEN 'ERROR'::text
            ELSE 'YES'::text
        END AS available_for_services,
    o.proxy_path
   FROM (((((track.asset a
     JOIN track.pipeline p ON ((p.id = a.pipeline_id)))
     LEFT JOIN metadata.document d ON ((d.asset_guid = a.guid)))
     CROSS JOIN LATERAL ( SELECT max(j.state) FILTER (WHERE (x.does = 'refinery.ingest'::text)) AS ingest,
            max(j.state) FILTER (WHERE (x.does = 'refinery.create'::text)) AS created,
            max(j.state) FILTER (WHERE (x.does = 'refinery.upload'::text)) AS uploaded,
            max(j.state) FILTER (WHERE (x.does = 'refinery.synchronise'::text)) AS synced,
            max(j.state) FILTER (WHERE (x.does = 'refinery.open_share'::text)) AS opened,
            max(j.state) FILTER (WHERE (x.does = 'load'::text)) AS loaded,
            max(j.state) FILTER (WHERE (x.does = 'upload'::text)) AS uploader,
            max(j.state) FILTER (WHERE (x.does = 'clean'::text)) AS cleaned,
            array_agg(track.dassco_status(j.state, j.tries)) FILTER (WHERE ((st.kind <> 'builtin'::text) AND (NOT track.dassco_hides(a.parent_guid, x.does, j.state)))) AS statuses
           FROM ((track.job j
             JOIN track.stage st ON (((st.id = j.stage_id) AND (st.pipeline_id = a.pipeline_id))))
             CROSS JOIN LATERAL ( SELECT track.dassco_does(st.kind, st.run, st.key) AS does) x)
          WHERE (j.asset_guid = a.guid)) s)
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (s.opened = 'failed'::text) THEN 'ERROR'::text
                    WHEN track.share_is_open(a.guid) THEN 'YES'::text
                    ELSE 'NO'::text
                END AS has_open_share) h)
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN ((h.has_open_share = 'YES'::text) AND (d.body IS NOT NULL)) THEN (((((((track.file_proxy() || '/assetfiles/'::text) || track.url_step((d.body ->> 'institution'::text))) || '/'::text) || track.url_step((d.body ->> 'collection'::text))) || '/'::text) || track.url_step(a.guid)) || '/'::text)
                    ELSE ''::text
                END AS proxy_path) o);
CREATE TABLE track.dispatcher (
    id uuid NOT NULL,
    session_id uuid NOT NULL,
    host text NOT NULL,
    process integer NOT NULL,
    flow_run_id uuid,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    alive_until timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_why text
);
CREATE TABLE track.edge (
    id bigint NOT NULL,
    stage_id bigint NOT NULL,
    upstream_id bigint NOT NULL,
    selector text NOT NULL,
    dx integer DEFAULT 0 NOT NULL,
    dy integer DEFAULT 0 NOT NULL,
    dz integer DEFAULT 0 NOT NULL,
    accept text[] DEFAULT '{done,excluded}'::text[] NOT NULL,
    CONSTRAINT edge_selector CHECK ((selector = ANY (ARRAY['self'::text, 'parent'::text, 'children'::text, 'offset'::text])))
);
ALTER TABLE track.edge ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.edge_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE track.file ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.file_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.history (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    what text NOT NULL,
    session_id uuid,
    asset_guid text,
    job_id bigint,
    attempt_id bigint,
    old text,
    new text,
    why text DEFAULT ''::text NOT NULL
);
ALTER TABLE track.history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.inbox (
    id bigint NOT NULL,
    dedupe_key text NOT NULL,
    path text NOT NULL,
    kind text NOT NULL,
    asset_guid text,
    attempt_id bigint,
    payload jsonb NOT NULL,
    applied text NOT NULL,
    event jsonb,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    announced_at timestamp with time zone
);
ALTER TABLE track.inbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.inbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE track.job ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE track.pipeline ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.pipeline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.retention (
    id bigint NOT NULL,
    kind text NOT NULL,
    asset_guid text NOT NULL,
    location text NOT NULL,
    requires text[] DEFAULT '{erda}'::text[] NOT NULL,
    due_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    outcome text,
    CONSTRAINT retention_kind CHECK ((kind = ANY (ARRAY['ndrive'::text, 'store'::text, 'site'::text])))
);
ALTER TABLE track.retention ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.retention_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE track.session (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    path text NOT NULL,
    opened_as text NOT NULL,
    listing_hash text NOT NULL,
    workstation text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    announced_at timestamp with time zone,
    registered_at timestamp with time zone,
    wake_requested_at timestamp with time zone,
    wake_announced_at timestamp with time zone,
    finished_at timestamp with time zone,
    known jsonb DEFAULT '[]'::jsonb NOT NULL,
    parked_at timestamp with time zone,
    wake_at timestamp with time zone,
    room jsonb
);
CREATE TABLE track.site (
    name text NOT NULL,
    kind text NOT NULL,
    rank integer NOT NULL,
    definition jsonb NOT NULL,
    open boolean DEFAULT true NOT NULL,
    degraded text,
    seen_at timestamp with time zone,
    expected_at timestamp with time zone DEFAULT now() NOT NULL,
    lacks jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT site_kind CHECK ((kind = ANY (ARRAY['local'::text, 'slurm'::text, 'pull'::text])))
);
ALTER TABLE track.stage ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME track.stage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW track.unattended AS
 SELECT id
   FROM track.session s
  WHERE ((wake_requested_at IS NULL) AND (NOT (EXISTS ( SELECT 1
           FROM track.dispatcher d
          WHERE ((d.session_id = s.id) AND (d.ended_at IS NULL) AND (d.alive_until > clock_timestamp()))))));
INSERT INTO metadata.document VALUES
	('final', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00100001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Tove Ditlevsen", "mime_type": null, "asset_guid": "final", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "final", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 3, 2, '2025-11-29 08:38:37.771993+00'),
	('final_72', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00100001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "final_72", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "jpeg", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": ["final"], "payload_type": "image", "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00100001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "final_72", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "jpeg", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": ["final"], "payload_type": "image", "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '3', 1, 1, '2025-11-29 08:38:37.539983+00'),
	('later', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "later", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "later", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 0, '2025-11-29 08:38:37.808326+00'),
	('emitted', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00300001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "emitted", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "emitted", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 2, 1, '2025-11-29 08:38:37.95733+00'),
	('emitted_72', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00300001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "emitted_72", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "jpeg", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": ["emitted"], "payload_type": "image", "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00300001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "emitted_72", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "jpeg", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": ["emitted"], "payload_type": "image", "specimen_pid": [], "asset_subject": "specimen", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '3', 1, 1, '2025-11-29 08:38:38.014186+00'),
	('returned', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": ["00300001"], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "returned", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": "label", "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "returned", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 3, 1, '2025-11-29 08:38:38.171409+00'),
	('failed', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "failed", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "failed", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 1, '2025-11-29 08:38:38.245615+00'),
	('running', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "running", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "running", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 1, '2025-11-29 08:38:38.342915+00'),
	('queued_array', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "queued_array", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "queued_array", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 1, '2025-11-29 08:38:38.408772+00'),
	('queued_here', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "queued_here", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "queued_here", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 1, '2025-11-29 08:38:38.476647+00'),
	('queued_unsent', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "queued_unsent", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "queued_unsent", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 1, '2025-11-29 08:38:38.53697+00'),
	('claimed', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "claimed", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "claimed", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 0, '2025-11-29 08:38:38.709371+00'),
	('attention', '{"tags": {"metadataTemplate": "v3"}, "issues": [], "mos_id": null, "status": null, "audited": false, "barcode": [], "funding": [], "legality": {"credit": null, "license": null, "copyright": null}, "asset_pid": [], "digitiser": "Karen Blixen", "mime_type": null, "asset_guid": "attention", "audited_by": null, "collection": "Vascular plants", "session_id": null, "file_format": "tif", "institution": "NHMD", "make_public": false, "date_audited": null, "parent_guids": [], "payload_type": null, "specimen_pid": [], "asset_subject": null, "has_thumbnail": false, "pipeline_name": "HERB", "multi_specimen": false, "metadata_source": null, "push_to_specify": false, "asset_created_by": null, "asset_deleted_by": null, "asset_updated_by": null, "date_asset_taken": null, "metadata_version": null, "preparation_type": [], "workstation_name": "WORKHERB0001", "restricted_access": [], "external_publishers": [], "metadata_created_by": null, "metadata_updated_by": null, "date_asset_finalised": null, "camera_setting_control": null, "date_asset_created_ars": null, "date_asset_deleted_ars": null, "date_asset_updated_ars": null, "date_metadata_ingested": null, "date_pushed_to_specify": null, "complete_digitiser_list": [], "specify_attachment_title": null, "date_metadata_created_ars": null, "date_metadata_updated_ars": null, "specify_attachment_remarks": null}', '{"tags": {"metadataTemplate": "v3"}, "digitiser": "Karen Blixen", "asset_guid": "attention", "collection": "Vascular plants", "file_format": "tif", "institution": "NHMD", "pipeline_name": "HERB", "workstation_name": "WORKHERB0001"}', '3', 1, 0, '2025-11-29 08:38:38.734716+00');
INSERT INTO metadata.revision VALUES
	('final', 1, '2025-11-29 08:38:37.385216+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('final', 2, '2025-11-29 08:38:37.471802+00', 'attempt:1', '[{"new": "specimen", "old": null, "field": "asset_subject"}, {"new": ["00100001"], "old": [], "field": "barcode"}]'),
	('final_72', 1, '2025-11-29 08:38:37.539983+00', 'attempt:2', '[{"new": "created", "old": null, "field": "*"}]'),
	('final', 3, '2025-11-29 08:38:37.771993+00', 'operator', '[{"new": "Tove Ditlevsen", "old": "Karen Blixen", "field": "digitiser"}]'),
	('later', 1, '2025-11-29 08:38:37.808326+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('emitted', 1, '2025-11-29 08:38:37.895785+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('emitted', 2, '2025-11-29 08:38:37.95733+00', 'attempt:4', '[{"new": "specimen", "old": null, "field": "asset_subject"}, {"new": ["00300001"], "old": [], "field": "barcode"}]'),
	('emitted_72', 1, '2025-11-29 08:38:38.014186+00', 'attempt:5', '[{"new": "created", "old": null, "field": "*"}]'),
	('returned', 1, '2025-11-29 08:38:38.097897+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('returned', 2, '2025-11-29 08:38:38.171409+00', 'attempt:6', '[{"new": "label", "old": null, "field": "asset_subject"}]'),
	('returned', 3, '2025-11-29 08:38:38.171409+00', 'attempt:6', '[{"new": ["00300001"], "old": [], "field": "barcode"}]'),
	('failed', 1, '2025-11-29 08:38:38.245615+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('running', 1, '2025-11-29 08:38:38.342915+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('queued_array', 1, '2025-11-29 08:38:38.408772+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('queued_here', 1, '2025-11-29 08:38:38.476647+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('queued_unsent', 1, '2025-11-29 08:38:38.53697+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('claimed', 1, '2025-11-29 08:38:38.709371+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]'),
	('attention', 1, '2025-11-29 08:38:38.734716+00', 'dispatcher', '[{"new": "created", "old": null, "field": "*"}]');
INSERT INTO mos.member VALUES
	('final', false, 'NHMD_Vascular plants_00100001', NULL, NULL, '{00100001}', '2025-11-29 08:38:37.471802+00'),
	('emitted', false, 'NHMD_Vascular plants_00300001', 'D1', 'WORKHERB0001_died_D1', '{00300001}', '2025-11-29 08:38:37.95733+00'),
	('returned', true, 'NOT_AVAILABLE', 'D1', 'WORKHERB0001_died_D1', '{}', '2025-11-29 08:38:38.171409+00');
INSERT INTO public.alembic_version VALUES
	('0011');
INSERT INTO track.asset VALUES
	('claimed', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'claimed', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/claimed', 5, 0, '2025-11-29 08:38:38.70354+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('final_72', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 2, 'final', 'final_72', '', 'specimen', 72, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 1, 0, NULL, NULL, '2025-11-29 08:38:37.700888+00', '2025-11-29 08:38:37.539983+00', NULL, NULL, NULL),
	('attention', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'attention', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, 'attention.tif: a third of it is all zero, as a copy that was cut short leaves them', NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/attention', 5, 0, '2025-11-29 08:38:38.728983+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('final', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 3, NULL, 'final', 'WORKHERB0001_finished', 'specimen', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/finished', '/museum/store/final', 5, 0, '2025-11-29 08:38:37.369606+00', '2025-11-29 08:38:37.753923+00', '2025-11-29 08:38:37.753923+00', '2025-11-29 08:38:37.344118+00', NULL, NULL, NULL),
	('later', 'cb33d640-dbee-451e-83d9-027488be2dbd', 3, NULL, 'later', 'WORKHERB0001_parked', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/parked', '/museum/store/later', 5, 0, '2025-11-29 08:38:37.799724+00', NULL, NULL, '2025-11-29 08:38:37.783289+00', NULL, NULL, NULL),
	('ready', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'ready', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', NULL, 1, 0, NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('emitted', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'emitted', 'WORKHERB0001_died', 'specimen', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/emitted', 5, 0, '2025-11-29 08:38:37.888181+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('emitted_72', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 2, 'emitted', 'emitted_72', '', 'specimen', 72, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 1, 0, NULL, NULL, NULL, '2025-11-29 08:38:38.014186+00', NULL, NULL, NULL),
	('returned', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'returned', 'WORKHERB0001_died', 'label', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/returned', 5, 0, '2025-11-29 08:38:38.089841+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('failed', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'failed', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/failed', 5, 0, '2025-11-29 08:38:38.237525+00', '2025-11-29 08:38:38.311896+00', NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('running', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'running', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/running', 5, 0, '2025-11-29 08:38:38.334824+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('queued_array', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'queued_array', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/queued_array', 5, 0, '2025-11-29 08:38:38.401113+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('queued_here', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'queued_here', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/queued_here', 5, 0, '2025-11-29 08:38:38.468334+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('queued_unsent', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 3, NULL, 'queued_unsent', 'WORKHERB0001_died', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', '/museum/store/queued_unsent', 5, 0, '2025-11-29 08:38:38.530446+00', NULL, NULL, '2025-11-29 08:38:37.87047+00', NULL, NULL, NULL),
	('plain', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 3, NULL, 'plain', 'WORKHERB0001_refused', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, 'plain.json: it names the format TIF, and there is only plain.jpg; drop both again', '/museum/n-drive/WORKHERB0001/refused', NULL, 1, 0, '2025-11-29 08:38:38.783467+00', '2025-11-29 08:38:38.792612+00', NULL, '2025-11-29 08:38:38.768968+00', NULL, NULL, NULL),
	('drawer', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 3, NULL, 'drawer', 'WORKHERB0001_refused', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, 'drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', '/museum/n-drive/WORKHERB0001/refused', NULL, 1, 0, '2025-11-29 08:38:38.79861+00', '2025-11-29 08:38:38.805452+00', NULL, '2025-11-29 08:38:38.768968+00', NULL, NULL, NULL),
	('early', '7304f066-7000-4610-985b-a0211fc76d0e', 3, NULL, 'early', 'WORKHERB0001_asked', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/asked', NULL, 1, 0, NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', NULL, NULL, NULL),
	('told', 'ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', 3, NULL, 'told', 'WORKHERB0001_asked_and_told', 'unknown', NULL, NULL, NULL, NULL, 0, NULL, NULL, '/museum/n-drive/WORKHERB0001/asked_and_told', NULL, 1, 0, NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', NULL, NULL, NULL);
INSERT INTO track.attempt OVERRIDING SYSTEM VALUE VALUES
	(11, 49, 1, 'local', 1, 10, 0, NULL, NULL, NULL, '2025-11-29 08:38:38.523998+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(1, 3, 1, 'local', 1, 1, 0, NULL, 'p1', 'nonce of 1', '2025-11-29 08:38:37.449889+00', NULL, '2025-11-29 08:38:37.464378+00', '2025-11-29 08:38:37.471802+00', '2025-11-29 08:38:37.471802+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": false, "barcodes": ["00100001"], "disposable": null, "multi_object": false, "asset_subject": "specimen", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}'),
	(12, 55, 1, 'slurm', 1, NULL, NULL, NULL, NULL, NULL, '2025-11-29 08:38:38.70003+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(2, 4, 1, 'local', 1, 2, 0, NULL, 'p2', 'nonce of 2', '2025-11-29 08:38:37.528941+00', NULL, '2025-11-29 08:38:37.536082+00', '2025-11-29 08:38:37.539983+00', '2025-11-29 08:38:37.539983+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": [{"ppi": 72, "file": {"name": "final_72.jpg", "crc32": 7, "size_bytes": 9}, "guid": "final_72", "file_format": "jpeg", "payload_type": "image"}]}'),
	(3, 8, 1, 'local', 1, 3, 0, NULL, 'p3', 'nonce of 3', '2025-11-29 08:38:37.626526+00', NULL, '2025-11-29 08:38:37.63404+00', '2025-11-29 08:38:37.638065+00', '2025-11-29 08:38:37.638065+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": [{"name": "final_72.jpg", "crc32": 7, "size_bytes": 9}], "derivatives": null}'),
	(4, 31, 1, 'local', 1, 4, 0, NULL, 'p4', 'nonce of 4', '2025-11-29 08:38:37.945861+00', NULL, '2025-11-29 08:38:37.953287+00', '2025-11-29 08:38:37.95733+00', '2025-11-29 08:38:37.95733+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": false, "barcodes": ["00300001"], "disposable": "D1", "multi_object": false, "asset_subject": "specimen", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}'),
	(5, 32, 1, 'local', 1, 5, 0, NULL, 'p5', 'nonce of 5', '2025-11-29 08:38:38.002862+00', NULL, '2025-11-29 08:38:38.010055+00', '2025-11-29 08:38:38.014186+00', '2025-11-29 08:38:38.014186+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": [{"ppi": 72, "file": {"name": "emitted_72.jpg", "crc32": 7, "size_bytes": 9}, "guid": "emitted_72", "file_format": "jpeg", "payload_type": "image"}]}'),
	(6, 67, 1, 'local', 1, 6, 0, NULL, 'p6', 'nonce of 6', '2025-11-29 08:38:38.160359+00', NULL, '2025-11-29 08:38:38.167551+00', '2025-11-29 08:38:38.171409+00', '2025-11-29 08:38:38.171409+00', NULL, 'done', NULL, 1.5, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": true, "barcodes": [], "disposable": "D1", "multi_object": false, "asset_subject": "label", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}'),
	(7, 68, 1, 'slurm', 1, 7, 0, '4700_0', '4700_0', 'nonce of 7', '2025-11-29 08:38:38.219063+00', '2025-11-29 08:38:38.225581+00', '2025-11-29 08:38:38.227102+00', '2025-11-29 08:38:38.231229+00', '2025-11-29 08:38:38.231229+00', NULL, 'done', NULL, NULL, NULL, NULL, NULL, '{"usage": {"cpu_s": null, "seconds": null, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [{"path": "derivatives/returned.jpg", "sha256": "abababababababababababababababababababababababababababababababab", "size_bytes": 11}], "warning": null, "metadata": {}, "uploaded": null, "derivatives": []}'),
	(8, 37, 1, 'slurm', 1, 8, 0, '4701_0', '4701_0', 'nonce of 8', '2025-11-29 08:38:38.300373+00', '2025-11-29 08:38:38.306705+00', '2025-11-29 08:38:38.307953+00', '2025-11-29 08:38:38.311896+00', '2025-11-29 08:38:38.311896+00', NULL, 'failed', NULL, NULL, NULL, NULL, 'the image cannot be decoded', NULL),
	(10, 43, 1, 'slurm', 1, 9, 1, '4711_1', NULL, NULL, '2025-11-29 08:38:38.45712+00', '2025-11-29 08:38:38.463128+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(9, 73, 1, 'slurm', 1, 9, 0, '4711_0', '4711_0', 'nonce of 9', '2025-11-29 08:38:38.397658+00', '2025-11-29 08:38:38.463128+00', '2025-11-29 08:38:38.464417+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO track.batch OVERRIDING SYSTEM VALUE VALUES
	(1, 'bcb271bb770c2', 'local', 8, '{}', '{1}', 'ended', '4242 1700000000', '2025-11-29 08:38:37.457044+00', '2025-11-29 08:38:37.462028+00', '2025-11-29 08:38:37.491673+00'),
	(2, 'b5abfb2224f54', 'local', 9, '{}', '{2}', 'ended', '4242 1700000000', '2025-11-29 08:38:37.53202+00', '2025-11-29 08:38:37.53519+00', '2025-11-29 08:38:37.571381+00'),
	(3, 'b4a370198da41', 'local', 3, '{}', '{3}', 'ended', '4242 1700000000', '2025-11-29 08:38:37.629762+00', '2025-11-29 08:38:37.633055+00', '2025-11-29 08:38:37.644888+00'),
	(4, 'b43d1828bda7f', 'local', 8, '{}', '{4}', 'ended', '4242 1700000000', '2025-11-29 08:38:37.949069+00', '2025-11-29 08:38:37.952308+00', '2025-11-29 08:38:37.974701+00'),
	(5, 'bf824cd7a07c7', 'local', 9, '{}', '{5}', 'ended', '4242 1700000000', '2025-11-29 08:38:38.006039+00', '2025-11-29 08:38:38.009164+00', '2025-11-29 08:38:38.039709+00'),
	(6, 'b77b66a208eb5', 'local', 8, '{}', '{6}', 'ended', '4242 1700000000', '2025-11-29 08:38:38.163414+00', '2025-11-29 08:38:38.166647+00', '2025-11-29 08:38:38.190511+00'),
	(7, 'b14f0dd1c331b', 'slurm', 9, '{}', '{7}', 'submitted', '4700', '2025-11-29 08:38:38.222224+00', '2025-11-29 08:38:38.225581+00', NULL),
	(8, 'b30e167e0d0e0', 'slurm', 8, '{}', '{8}', 'submitted', '4701', '2025-11-29 08:38:38.303463+00', '2025-11-29 08:38:38.306705+00', NULL),
	(9, 'ba13959478282', 'slurm', 8, '{}', '{9,10}', 'submitted', '4711', '2025-11-29 08:38:38.460068+00', '2025-11-29 08:38:38.463128+00', NULL),
	(10, 'b5c5181ce1be3', 'local', 8, '{}', '{11}', 'intended', NULL, '2025-11-29 08:38:38.527084+00', NULL, NULL);
INSERT INTO track.dispatcher VALUES
	('3e0c56fc-1df9-4825-b617-a702872a5127', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'test', 1, NULL, '2025-11-29 08:38:37.342271+00', '2025-11-29 09:38:37.342271+00', '2025-11-29 08:38:37.775373+00', 'finished'),
	('ac8c0da3-34b6-4d8e-bc30-b6090338d596', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'test', 1, NULL, '2025-11-29 08:38:37.782305+00', '2025-11-29 09:38:37.782305+00', '2025-11-29 08:38:37.854532+00', 'parked'),
	('173453b7-47ef-459a-8d9b-6fd84f4ee1b3', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'test', 1, NULL, '2025-11-29 08:38:37.869467+00', '2025-11-29 08:37:38.762639+00', NULL, NULL),
	('7b68a24f-845a-464f-a0ed-8f5c735250d8', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'test', 1, NULL, '2025-11-29 08:38:38.767904+00', '2025-11-29 08:37:38.81041+00', NULL, NULL),
	('c9edb36a-e9d8-4af7-8fc0-16d9d290f518', '7304f066-7000-4610-985b-a0211fc76d0e', 'test', 1, NULL, '2025-11-29 08:38:38.815118+00', '2025-11-29 09:38:38.815118+00', '2025-11-29 08:38:38.830437+00', 'handed over'),
	('911cbdcc-668d-4cf1-a72c-f11d64681a03', 'ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', 'test', 1, NULL, '2025-11-29 08:38:38.836832+00', '2025-11-29 09:38:38.836832+00', '2025-11-29 08:38:38.851908+00', 'handed over');
INSERT INTO track.edge OVERRIDING SYSTEM VALUE VALUES
	(1, 3, 2, 'self', 0, 0, 0, '{done,excluded}'),
	(2, 4, 3, 'self', 0, 0, 0, '{done,excluded}'),
	(3, 5, 4, 'self', 0, 0, 0, '{done,excluded}'),
	(4, 7, 6, 'self', 0, 0, 0, '{done,excluded}'),
	(5, 8, 7, 'self', 0, 0, 0, '{done,excluded}'),
	(6, 9, 8, 'self', 0, 0, 0, '{done,excluded}'),
	(7, 10, 9, 'self', 0, 0, 0, '{done,excluded}'),
	(8, 10, 4, 'children', 0, 0, 0, '{done,excluded}'),
	(9, 11, 10, 'self', 0, 0, 0, '{done,excluded}');
INSERT INTO track.file OVERRIDING SYSTEM VALUE VALUES
	(2, 'final_72', 'final_72.jpg', 'jpg', 'image/jpeg', 7, NULL, 9, 'local', '2025-11-29 08:38:37.539983+00', '2025-11-29 08:38:37.638065+00', '2025-11-29 08:38:37.673633+00', NULL, NULL),
	(1, 'final', 'final.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:37.388737+00', '2025-11-29 08:38:37.72568+00', '2025-11-29 08:38:37.72568+00', NULL, NULL),
	(3, 'later', 'later.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:37.810911+00', NULL, NULL, NULL, NULL),
	(4, 'emitted', 'emitted.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:37.898495+00', NULL, NULL, NULL, NULL),
	(5, 'emitted_72', 'emitted_72.jpg', 'jpg', 'image/jpeg', 7, NULL, 9, 'local', '2025-11-29 08:38:38.014186+00', NULL, NULL, NULL, NULL),
	(6, 'returned', 'returned.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.100492+00', NULL, NULL, NULL, NULL),
	(7, 'failed', 'failed.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.248083+00', NULL, NULL, NULL, NULL),
	(8, 'running', 'running.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.345488+00', NULL, NULL, NULL, NULL),
	(9, 'queued_array', 'queued_array.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.411323+00', NULL, NULL, NULL, NULL),
	(10, 'queued_here', 'queued_here.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.479173+00', NULL, NULL, NULL, NULL),
	(11, 'queued_unsent', 'queued_unsent.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.539472+00', NULL, NULL, NULL, NULL),
	(12, 'claimed', 'claimed.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.711972+00', NULL, NULL, NULL, NULL),
	(13, 'attention', 'attention.tif', 'tif', 'image/tiff', 4000000000, NULL, 5000000, NULL, '2025-11-29 08:38:38.737128+00', NULL, NULL, NULL, NULL);
INSERT INTO track.history OVERRIDING SYSTEM VALUE VALUES
	(1, '2025-11-29 08:38:37.295863+00', 'operator', 'pipeline.definition', NULL, NULL, NULL, NULL, NULL, '27a5fdaf8d99fe84fd73510c0efd3928f9f67434b43c6bc8a54ed8ed11429a89', 'UNREADABLE'),
	(2, '2025-11-29 08:38:37.295863+00', 'operator', 'pipeline.definition', NULL, NULL, NULL, NULL, NULL, '852ce50b29a817c164d092e85e17a0fa631342f68eef93e0fab3f4d804cbae32', 'DERIVATIVE'),
	(3, '2025-11-29 08:38:37.295863+00', 'operator', 'pipeline.definition', NULL, NULL, NULL, NULL, NULL, '677f0af7a2ccd5c8359657b4f88c9240345a53cceb858fa5150eae9c62e52527', 'HERB'),
	(4, '2025-11-29 08:38:37.336351+00', 'watch', 'session.opened', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/finished', ''),
	(5, '2025-11-29 08:38:37.344118+00', 'test', 'asset.registered', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', NULL, NULL, NULL, 'HERB', ''),
	(6, '2025-11-29 08:38:37.344118+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 1, NULL, 'waiting', 'ready', ''),
	(7, '2025-11-29 08:38:37.369606+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 1, NULL, 'ready', 'claimed', ''),
	(8, '2025-11-29 08:38:37.389821+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 1, NULL, 'claimed', 'done', ''),
	(9, '2025-11-29 08:38:37.389821+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 2, NULL, 'waiting', 'ready', ''),
	(10, '2025-11-29 08:38:37.415458+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 2, NULL, 'ready', 'claimed', ''),
	(11, '2025-11-29 08:38:37.423802+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 2, NULL, 'claimed', 'done', ''),
	(12, '2025-11-29 08:38:37.423802+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, NULL, 'waiting', 'ready', ''),
	(13, '2025-11-29 08:38:37.442853+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, NULL, 'ready', 'claimed', ''),
	(14, '2025-11-29 08:38:37.449889+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, 1, 'claimed', 'queued', ''),
	(15, '2025-11-29 08:38:37.464378+00', 'attempt:1', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, 1, 'queued', 'running', 'started by p1'),
	(16, '2025-11-29 08:38:37.471802+00', 'attempt:1', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, 1, 'running', 'returned', ''),
	(17, '2025-11-29 08:38:37.494215+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 3, 1, 'returned', 'done', ''),
	(18, '2025-11-29 08:38:37.494215+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, NULL, 'waiting', 'ready', ''),
	(19, '2025-11-29 08:38:37.521829+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, NULL, 'ready', 'claimed', ''),
	(20, '2025-11-29 08:38:37.528941+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, 2, 'claimed', 'queued', ''),
	(21, '2025-11-29 08:38:37.536082+00', 'attempt:2', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, 2, 'queued', 'running', 'started by p2'),
	(22, '2025-11-29 08:38:37.539983+00', 'attempt:2', 'asset.registered', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', NULL, NULL, NULL, 'DERIVATIVE', ''),
	(23, '2025-11-29 08:38:37.539983+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 7, NULL, 'waiting', 'ready', ''),
	(24, '2025-11-29 08:38:37.539983+00', 'attempt:2', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, 2, 'running', 'returned', ''),
	(25, '2025-11-29 08:38:37.573425+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 4, 2, 'returned', 'done', ''),
	(26, '2025-11-29 08:38:37.591931+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 7, NULL, 'ready', 'claimed', ''),
	(27, '2025-11-29 08:38:37.60079+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 7, NULL, 'claimed', 'done', ''),
	(28, '2025-11-29 08:38:37.60079+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, NULL, 'waiting', 'ready', ''),
	(29, '2025-11-29 08:38:37.619345+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, NULL, 'ready', 'claimed', ''),
	(30, '2025-11-29 08:38:37.626526+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, 3, 'claimed', 'queued', ''),
	(31, '2025-11-29 08:38:37.63404+00', 'attempt:3', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, 3, 'queued', 'running', 'started by p3'),
	(32, '2025-11-29 08:38:37.638065+00', 'attempt:3', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, 3, 'running', 'returned', ''),
	(33, '2025-11-29 08:38:37.646977+00', 'dispatcher', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 8, 3, 'returned', 'done', ''),
	(34, '2025-11-29 08:38:37.646977+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 9, NULL, 'waiting', 'ready', ''),
	(35, '2025-11-29 08:38:37.66628+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 9, NULL, 'ready', 'claimed', ''),
	(36, '2025-11-29 08:38:37.674579+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 9, NULL, 'claimed', 'done', ''),
	(37, '2025-11-29 08:38:37.674579+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 5, NULL, 'waiting', 'ready', ''),
	(38, '2025-11-29 08:38:37.674579+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 10, NULL, 'waiting', 'ready', ''),
	(39, '2025-11-29 08:38:37.693883+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 10, NULL, 'ready', 'claimed', ''),
	(40, '2025-11-29 08:38:37.700888+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final_72', 10, NULL, 'claimed', 'done', ''),
	(41, '2025-11-29 08:38:37.718171+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 5, NULL, 'ready', 'claimed', ''),
	(42, '2025-11-29 08:38:37.726516+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 5, NULL, 'claimed', 'done', ''),
	(43, '2025-11-29 08:38:37.726516+00', 'resolve', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 6, NULL, 'waiting', 'ready', ''),
	(44, '2025-11-29 08:38:37.746859+00', 'dispatcher:3e0c56fc-1df9-4825-b617-a702872a5127', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 6, NULL, 'ready', 'claimed', ''),
	(45, '2025-11-29 08:38:37.753923+00', 'test', 'job.state', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', 'final', 6, NULL, 'claimed', 'done', ''),
	(46, '2025-11-29 08:38:37.776847+00', 'dispatcher', 'session.finished', 'd116b6b0-7a6f-4d04-b024-ed8db856624c', NULL, NULL, NULL, NULL, NULL, ''),
	(47, '2025-11-29 08:38:37.778713+00', 'watch', 'session.opened', 'cb33d640-dbee-451e-83d9-027488be2dbd', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/parked', ''),
	(48, '2025-11-29 08:38:37.783289+00', 'test', 'asset.registered', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', NULL, NULL, NULL, 'HERB', ''),
	(49, '2025-11-29 08:38:37.783289+00', 'resolve', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 11, NULL, 'waiting', 'ready', ''),
	(50, '2025-11-29 08:38:37.799724+00', 'dispatcher:ac8c0da3-34b6-4d8e-bc30-b6090338d596', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 11, NULL, 'ready', 'claimed', ''),
	(51, '2025-11-29 08:38:37.811747+00', 'test', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 11, NULL, 'claimed', 'done', ''),
	(52, '2025-11-29 08:38:37.811747+00', 'resolve', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 12, NULL, 'waiting', 'ready', ''),
	(53, '2025-11-29 08:38:37.832843+00', 'dispatcher:ac8c0da3-34b6-4d8e-bc30-b6090338d596', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 12, NULL, 'ready', 'claimed', ''),
	(54, '2025-11-29 08:38:37.840933+00', 'dispatcher', 'job.state', 'cb33d640-dbee-451e-83d9-027488be2dbd', 'later', 12, NULL, 'claimed', 'ready', 'the archive did not answer; it is tried again at 08:48:37'),
	(55, '2025-11-29 08:38:37.865867+00', 'watch', 'session.opened', '99c221ae-d417-48c0-938f-8ed5d5a607a0', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/died', ''),
	(56, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', NULL, NULL, NULL, 'HERB', ''),
	(57, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'ready', NULL, NULL, NULL, 'HERB', ''),
	(58, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', NULL, NULL, NULL, 'HERB', ''),
	(59, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', NULL, NULL, NULL, 'HERB', ''),
	(60, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', NULL, NULL, NULL, 'HERB', ''),
	(61, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', NULL, NULL, NULL, 'HERB', ''),
	(62, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', NULL, NULL, NULL, 'HERB', ''),
	(63, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', NULL, NULL, NULL, 'HERB', ''),
	(64, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', NULL, NULL, NULL, 'HERB', ''),
	(65, '2025-11-29 08:38:37.87047+00', 'test', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', NULL, NULL, NULL, 'HERB', ''),
	(66, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', 17, NULL, 'waiting', 'ready', ''),
	(67, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', 23, NULL, 'waiting', 'ready', ''),
	(68, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 29, NULL, 'waiting', 'ready', ''),
	(69, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 35, NULL, 'waiting', 'ready', ''),
	(70, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 41, NULL, 'waiting', 'ready', ''),
	(71, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 47, NULL, 'waiting', 'ready', ''),
	(72, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 53, NULL, 'waiting', 'ready', ''),
	(73, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'ready', 59, NULL, 'waiting', 'ready', ''),
	(74, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 65, NULL, 'waiting', 'ready', ''),
	(75, '2025-11-29 08:38:37.87047+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 71, NULL, 'waiting', 'ready', ''),
	(76, '2025-11-29 08:38:37.888181+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 29, NULL, 'ready', 'claimed', ''),
	(77, '2025-11-29 08:38:37.899477+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 29, NULL, 'claimed', 'done', ''),
	(78, '2025-11-29 08:38:37.899477+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 30, NULL, 'waiting', 'ready', ''),
	(79, '2025-11-29 08:38:37.916291+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 30, NULL, 'ready', 'claimed', ''),
	(80, '2025-11-29 08:38:37.923455+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 30, NULL, 'claimed', 'done', ''),
	(81, '2025-11-29 08:38:37.923455+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, NULL, 'waiting', 'ready', ''),
	(82, '2025-11-29 08:38:37.939817+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, NULL, 'ready', 'claimed', ''),
	(83, '2025-11-29 08:38:37.945861+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, 4, 'claimed', 'queued', ''),
	(84, '2025-11-29 08:38:37.953287+00', 'attempt:4', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, 4, 'queued', 'running', 'started by p4'),
	(85, '2025-11-29 08:38:37.95733+00', 'attempt:4', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, 4, 'running', 'returned', ''),
	(86, '2025-11-29 08:38:37.976785+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 31, 4, 'returned', 'done', ''),
	(87, '2025-11-29 08:38:37.976785+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, NULL, 'waiting', 'ready', ''),
	(88, '2025-11-29 08:38:37.996336+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, NULL, 'ready', 'claimed', ''),
	(89, '2025-11-29 08:38:38.002862+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, 5, 'claimed', 'queued', ''),
	(90, '2025-11-29 08:38:38.010055+00', 'attempt:5', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, 5, 'queued', 'running', 'started by p5'),
	(91, '2025-11-29 08:38:38.014186+00', 'attempt:5', 'asset.registered', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', NULL, NULL, NULL, 'DERIVATIVE', ''),
	(92, '2025-11-29 08:38:38.014186+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', 77, NULL, 'waiting', 'ready', ''),
	(93, '2025-11-29 08:38:38.014186+00', 'attempt:5', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, 5, 'running', 'returned', ''),
	(94, '2025-11-29 08:38:38.041675+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted', 32, 5, 'returned', 'done', ''),
	(95, '2025-11-29 08:38:38.057891+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', 77, NULL, 'ready', 'claimed', ''),
	(96, '2025-11-29 08:38:38.065436+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', 77, NULL, 'claimed', 'done', ''),
	(97, '2025-11-29 08:38:38.065436+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', 78, NULL, 'waiting', 'ready', ''),
	(98, '2025-11-29 08:38:38.082736+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'emitted_72', 78, NULL, 'ready', 'claimed', ''),
	(99, '2025-11-29 08:38:38.089841+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 65, NULL, 'ready', 'claimed', ''),
	(100, '2025-11-29 08:38:38.101433+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 65, NULL, 'claimed', 'done', '');
INSERT INTO track.history OVERRIDING SYSTEM VALUE VALUES
	(101, '2025-11-29 08:38:38.101433+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 66, NULL, 'waiting', 'ready', ''),
	(102, '2025-11-29 08:38:38.120633+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 66, NULL, 'ready', 'claimed', ''),
	(103, '2025-11-29 08:38:38.12831+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 66, NULL, 'claimed', 'done', ''),
	(104, '2025-11-29 08:38:38.12831+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, NULL, 'waiting', 'ready', ''),
	(105, '2025-11-29 08:38:38.153201+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, NULL, 'ready', 'claimed', ''),
	(106, '2025-11-29 08:38:38.160359+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, 6, 'claimed', 'queued', ''),
	(107, '2025-11-29 08:38:38.167551+00', 'attempt:6', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, 6, 'queued', 'running', 'started by p6'),
	(108, '2025-11-29 08:38:38.171409+00', 'attempt:6', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, 6, 'running', 'returned', ''),
	(109, '2025-11-29 08:38:38.192493+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 67, 6, 'returned', 'done', ''),
	(110, '2025-11-29 08:38:38.192493+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 68, NULL, 'waiting', 'ready', ''),
	(111, '2025-11-29 08:38:38.212275+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 68, NULL, 'ready', 'claimed', ''),
	(112, '2025-11-29 08:38:38.219063+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 68, 7, 'claimed', 'queued', ''),
	(113, '2025-11-29 08:38:38.227102+00', 'attempt:7', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 68, 7, 'queued', 'running', 'started by 4700_0'),
	(114, '2025-11-29 08:38:38.231229+00', 'attempt:7', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'returned', 68, 7, 'running', 'returned', ''),
	(115, '2025-11-29 08:38:38.237525+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 35, NULL, 'ready', 'claimed', ''),
	(116, '2025-11-29 08:38:38.248915+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 35, NULL, 'claimed', 'done', ''),
	(117, '2025-11-29 08:38:38.248915+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 36, NULL, 'waiting', 'ready', ''),
	(118, '2025-11-29 08:38:38.266531+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 36, NULL, 'ready', 'claimed', ''),
	(119, '2025-11-29 08:38:38.275287+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 36, NULL, 'claimed', 'done', ''),
	(120, '2025-11-29 08:38:38.275287+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 37, NULL, 'waiting', 'ready', ''),
	(121, '2025-11-29 08:38:38.293691+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 37, NULL, 'ready', 'claimed', ''),
	(122, '2025-11-29 08:38:38.300373+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 37, 8, 'claimed', 'queued', ''),
	(123, '2025-11-29 08:38:38.307953+00', 'attempt:8', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 37, 8, 'queued', 'running', 'started by 4701_0'),
	(124, '2025-11-29 08:38:38.311896+00', 'attempt:8', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'failed', 37, 8, 'running', 'failed', 'the image cannot be decoded'),
	(125, '2025-11-29 08:38:38.334824+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 71, NULL, 'ready', 'claimed', ''),
	(126, '2025-11-29 08:38:38.346306+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 71, NULL, 'claimed', 'done', ''),
	(127, '2025-11-29 08:38:38.346306+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 72, NULL, 'waiting', 'ready', ''),
	(128, '2025-11-29 08:38:38.364144+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 72, NULL, 'ready', 'claimed', ''),
	(129, '2025-11-29 08:38:38.372479+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 72, NULL, 'claimed', 'done', ''),
	(130, '2025-11-29 08:38:38.372479+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 73, NULL, 'waiting', 'ready', ''),
	(131, '2025-11-29 08:38:38.391612+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 73, NULL, 'ready', 'claimed', ''),
	(132, '2025-11-29 08:38:38.397658+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 73, 9, 'claimed', 'queued', ''),
	(133, '2025-11-29 08:38:38.401113+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 41, NULL, 'ready', 'claimed', ''),
	(134, '2025-11-29 08:38:38.41212+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 41, NULL, 'claimed', 'done', ''),
	(135, '2025-11-29 08:38:38.41212+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 42, NULL, 'waiting', 'ready', ''),
	(136, '2025-11-29 08:38:38.428777+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 42, NULL, 'ready', 'claimed', ''),
	(137, '2025-11-29 08:38:38.435579+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 42, NULL, 'claimed', 'done', ''),
	(138, '2025-11-29 08:38:38.435579+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 43, NULL, 'waiting', 'ready', ''),
	(139, '2025-11-29 08:38:38.451375+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 43, NULL, 'ready', 'claimed', ''),
	(140, '2025-11-29 08:38:38.45712+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_array', 43, 10, 'claimed', 'queued', ''),
	(141, '2025-11-29 08:38:38.464417+00', 'attempt:9', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'running', 73, 9, 'queued', 'running', 'started by 4711_0'),
	(142, '2025-11-29 08:38:38.468334+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 47, NULL, 'ready', 'claimed', ''),
	(143, '2025-11-29 08:38:38.479974+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 47, NULL, 'claimed', 'done', ''),
	(144, '2025-11-29 08:38:38.479974+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 48, NULL, 'waiting', 'ready', ''),
	(145, '2025-11-29 08:38:38.496475+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 48, NULL, 'ready', 'claimed', ''),
	(146, '2025-11-29 08:38:38.502067+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 48, NULL, 'claimed', 'done', ''),
	(147, '2025-11-29 08:38:38.502067+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 49, NULL, 'waiting', 'ready', ''),
	(148, '2025-11-29 08:38:38.519323+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 49, NULL, 'ready', 'claimed', ''),
	(149, '2025-11-29 08:38:38.523998+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_here', 49, 11, 'claimed', 'queued', ''),
	(150, '2025-11-29 08:38:38.530446+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 53, NULL, 'ready', 'claimed', ''),
	(151, '2025-11-29 08:38:38.540266+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 53, NULL, 'claimed', 'done', ''),
	(152, '2025-11-29 08:38:38.540266+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 54, NULL, 'waiting', 'ready', ''),
	(153, '2025-11-29 08:38:38.677614+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 54, NULL, 'ready', 'claimed', ''),
	(154, '2025-11-29 08:38:38.683456+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 54, NULL, 'claimed', 'done', ''),
	(155, '2025-11-29 08:38:38.683456+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 55, NULL, 'waiting', 'ready', ''),
	(156, '2025-11-29 08:38:38.695628+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 55, NULL, 'ready', 'claimed', ''),
	(157, '2025-11-29 08:38:38.70003+00', 'dispatcher', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'queued_unsent', 55, 12, 'claimed', 'queued', ''),
	(158, '2025-11-29 08:38:38.70354+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', 23, NULL, 'ready', 'claimed', ''),
	(159, '2025-11-29 08:38:38.712878+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', 23, NULL, 'claimed', 'done', ''),
	(160, '2025-11-29 08:38:38.712878+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', 24, NULL, 'waiting', 'ready', ''),
	(161, '2025-11-29 08:38:38.724373+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'claimed', 24, NULL, 'ready', 'claimed', ''),
	(162, '2025-11-29 08:38:38.728983+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', 17, NULL, 'ready', 'claimed', ''),
	(163, '2025-11-29 08:38:38.737868+00', 'test', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', 17, NULL, 'claimed', 'done', ''),
	(164, '2025-11-29 08:38:38.737868+00', 'resolve', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', 18, NULL, 'waiting', 'ready', ''),
	(165, '2025-11-29 08:38:38.750398+00', 'dispatcher:173453b7-47ef-459a-8d9b-6fd84f4ee1b3', 'job.state', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', 18, NULL, 'ready', 'claimed', ''),
	(166, '2025-11-29 08:38:38.756884+00', 'dispatcher', 'asset.attention', '99c221ae-d417-48c0-938f-8ed5d5a607a0', 'attention', NULL, NULL, NULL, 'attention.tif: a third of it is all zero, as a copy that was cut short leaves them', ''),
	(167, '2025-11-29 08:38:38.763983+00', 'watch', 'session.opened', 'd30d47c2-3f1d-4321-952e-e354a94d8319', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/refused', ''),
	(168, '2025-11-29 08:38:38.768968+00', 'test', 'asset.registered', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', NULL, NULL, NULL, 'HERB', ''),
	(169, '2025-11-29 08:38:38.768968+00', 'test', 'asset.registered', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', NULL, NULL, NULL, 'HERB', ''),
	(170, '2025-11-29 08:38:38.768968+00', 'resolve', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 81, NULL, 'waiting', 'ready', ''),
	(171, '2025-11-29 08:38:38.768968+00', 'resolve', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 87, NULL, 'waiting', 'ready', ''),
	(172, '2025-11-29 08:38:38.783467+00', 'dispatcher:7b68a24f-845a-464f-a0ed-8f5c735250d8', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 87, NULL, 'ready', 'claimed', ''),
	(173, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 87, NULL, 'claimed', 'failed', 'plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(174, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 88, NULL, 'waiting', 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(175, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 89, NULL, 'waiting', 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(176, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 90, NULL, 'waiting', 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(177, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 91, NULL, 'waiting', 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(178, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'plain', 92, NULL, 'waiting', 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again'),
	(179, '2025-11-29 08:38:38.792612+00', 'dispatcher', 'asset.quarantined', NULL, 'plain', NULL, NULL, NULL, 'plain.json: it names the format TIF, and there is only plain.jpg; drop both again', ''),
	(180, '2025-11-29 08:38:38.79861+00', 'dispatcher:7b68a24f-845a-464f-a0ed-8f5c735250d8', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 81, NULL, 'ready', 'claimed', ''),
	(181, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 81, NULL, 'claimed', 'failed', 'drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(182, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 82, NULL, 'waiting', 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(183, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 83, NULL, 'waiting', 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(184, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 84, NULL, 'waiting', 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(185, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 85, NULL, 'waiting', 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(186, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'job.state', 'd30d47c2-3f1d-4321-952e-e354a94d8319', 'drawer', 86, NULL, 'waiting', 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it'),
	(187, '2025-11-29 08:38:38.805452+00', 'dispatcher', 'asset.quarantined', NULL, 'drawer', NULL, NULL, NULL, 'drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', ''),
	(188, '2025-11-29 08:38:38.811543+00', 'watch', 'session.opened', '7304f066-7000-4610-985b-a0211fc76d0e', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/asked', ''),
	(189, '2025-11-29 08:38:38.81609+00', 'test', 'asset.registered', '7304f066-7000-4610-985b-a0211fc76d0e', 'early', NULL, NULL, NULL, 'HERB', ''),
	(190, '2025-11-29 08:38:38.81609+00', 'resolve', 'job.state', '7304f066-7000-4610-985b-a0211fc76d0e', 'early', 93, NULL, 'waiting', 'ready', ''),
	(191, '2025-11-29 08:38:38.833075+00', 'watch', 'session.opened', 'ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/asked_and_told', ''),
	(192, '2025-11-29 08:38:38.837823+00', 'test', 'asset.registered', 'ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', 'told', NULL, NULL, NULL, 'HERB', ''),
	(193, '2025-11-29 08:38:38.837823+00', 'resolve', 'job.state', 'ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', 'told', 99, NULL, 'waiting', 'ready', ''),
	(194, '2025-11-29 08:38:38.860135+00', 'watch', 'session.opened', '72537dec-c024-4e58-b6c2-2a15a79b2fa7', NULL, NULL, NULL, NULL, '/museum/n-drive/WORKHERB0001/unannounced', '');
INSERT INTO track.inbox OVERRIDING SYSTEM VALUE VALUES
	(1, 'start|1|p1|nonce of 1', '/attempts/1/start', 'start', 'final', 1, '{"nonce": "nonce of 1", "native_id": "p1"}', 'applied', '{"id": "3ace8e79-efa7-58fc-8e73-8105f7ca83b6", "event": "hpc.job.started", "payload": {"n": 1, "job": 3, "stage": "barcode", "attempt": 1}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final"}}', '2025-11-29 08:38:37.464378+00', '2025-11-29 08:38:38.332136+00'),
	(2, 'complete|1|p1|nonce of 1', '/attempts/1/complete', 'finished', 'final', 1, '{"nonce": "nonce of 1", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": false, "barcodes": ["00100001"], "disposable": null, "multi_object": false, "asset_subject": "specimen", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}, "native_id": "p1"}', 'applied', '{"id": "e79228b5-21af-5583-a567-23950bab29d9", "event": "hpc.job.finished", "payload": {"n": 1, "job": 3, "stage": "barcode", "attempt": 1}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final"}}', '2025-11-29 08:38:37.471802+00', '2025-11-29 08:38:38.332136+00'),
	(3, 'start|2|p2|nonce of 2', '/attempts/2/start', 'start', 'final', 2, '{"nonce": "nonce of 2", "native_id": "p2"}', 'applied', '{"id": "3f23288d-a026-5b5e-ad95-338713fe2c51", "event": "hpc.job.started", "payload": {"n": 1, "job": 4, "stage": "derivative", "attempt": 2}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final"}}', '2025-11-29 08:38:37.536082+00', '2025-11-29 08:38:38.332136+00'),
	(4, 'complete|2|p2|nonce of 2', '/attempts/2/complete', 'finished', 'final', 2, '{"nonce": "nonce of 2", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": [{"ppi": 72, "file": {"name": "final_72.jpg", "crc32": 7, "size_bytes": 9}, "guid": "final_72", "file_format": "jpeg", "payload_type": "image"}]}, "native_id": "p2"}', 'applied', '{"id": "f3b17d3d-2f0f-5965-8fc3-be1275f5354f", "event": "hpc.job.finished", "payload": {"n": 1, "job": 4, "stage": "derivative", "attempt": 2}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final"}}', '2025-11-29 08:38:37.539983+00', '2025-11-29 08:38:38.332136+00'),
	(5, 'start|3|p3|nonce of 3', '/attempts/3/start', 'start', 'final_72', 3, '{"nonce": "nonce of 3", "native_id": "p3"}', 'applied', '{"id": "ae282a06-b9aa-546e-a224-7404c6b1dc51", "event": "hpc.job.started", "payload": {"n": 1, "job": 8, "stage": "uploader", "attempt": 3}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.DERIVATIVE", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final_72"}}', '2025-11-29 08:38:37.63404+00', '2025-11-29 08:38:38.332136+00'),
	(6, 'complete|3|p3|nonce of 3', '/attempts/3/complete', 'finished', 'final_72', 3, '{"nonce": "nonce of 3", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": [{"name": "final_72.jpg", "crc32": 7, "size_bytes": 9}], "derivatives": null}, "native_id": "p3"}', 'applied', '{"id": "bcff405a-1f9c-5a8b-bbe4-feadce3f2467", "event": "hpc.job.finished", "payload": {"n": 1, "job": 8, "stage": "uploader", "attempt": 3}, "related": [{"prefect.resource.id": "specimen.session.d116b6b0-7a6f-4d04-b024-ed8db856624c", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.DERIVATIVE", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.final_72"}}', '2025-11-29 08:38:37.638065+00', '2025-11-29 08:38:38.332136+00'),
	(7, 'start|4|p4|nonce of 4', '/attempts/4/start', 'start', 'emitted', 4, '{"nonce": "nonce of 4", "native_id": "p4"}', 'applied', '{"id": "9329d33d-35a4-5a8d-8e95-b4d208df6ab2", "event": "hpc.job.started", "payload": {"n": 1, "job": 31, "stage": "barcode", "attempt": 4}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.emitted"}}', '2025-11-29 08:38:37.953287+00', '2025-11-29 08:38:38.332136+00'),
	(8, 'complete|4|p4|nonce of 4', '/attempts/4/complete', 'finished', 'emitted', 4, '{"nonce": "nonce of 4", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": false, "barcodes": ["00300001"], "disposable": "D1", "multi_object": false, "asset_subject": "specimen", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}, "native_id": "p4"}', 'applied', '{"id": "d3fb7db4-6d46-5562-828f-b98f1e9c216c", "event": "hpc.job.finished", "payload": {"n": 1, "job": 31, "stage": "barcode", "attempt": 4}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.emitted"}}', '2025-11-29 08:38:37.95733+00', '2025-11-29 08:38:38.332136+00'),
	(9, 'start|5|p5|nonce of 5', '/attempts/5/start', 'start', 'emitted', 5, '{"nonce": "nonce of 5", "native_id": "p5"}', 'applied', '{"id": "97bbcc79-323c-59a1-bf6c-5141258b5444", "event": "hpc.job.started", "payload": {"n": 1, "job": 32, "stage": "derivative", "attempt": 5}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.emitted"}}', '2025-11-29 08:38:38.010055+00', '2025-11-29 08:38:38.332136+00'),
	(10, 'complete|5|p5|nonce of 5', '/attempts/5/complete', 'finished', 'emitted', 5, '{"nonce": "nonce of 5", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": [{"ppi": 72, "file": {"name": "emitted_72.jpg", "crc32": 7, "size_bytes": 9}, "guid": "emitted_72", "file_format": "jpeg", "payload_type": "image"}]}, "native_id": "p5"}', 'applied', '{"id": "030d3097-b9e0-5d17-b4c8-9644433bcd91", "event": "hpc.job.finished", "payload": {"n": 1, "job": 32, "stage": "derivative", "attempt": 5}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.emitted"}}', '2025-11-29 08:38:38.014186+00', '2025-11-29 08:38:38.332136+00'),
	(11, 'start|6|p6|nonce of 6', '/attempts/6/start', 'start', 'returned', 6, '{"nonce": "nonce of 6", "native_id": "p6"}', 'applied', '{"id": "34ef66ea-8dd6-5e47-9014-536335f9fbf0", "event": "hpc.job.started", "payload": {"n": 1, "job": 67, "stage": "barcode", "attempt": 6}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.returned"}}', '2025-11-29 08:38:38.167551+00', '2025-11-29 08:38:38.332136+00'),
	(12, 'complete|6|p6|nonce of 6', '/attempts/6/complete', 'finished', 'returned', 6, '{"nonce": "nonce of 6", "result": {"usage": {"cpu_s": null, "seconds": 1.5, "max_rss_mb": null}, "barcode": {"codes": [], "label": true, "barcodes": [], "disposable": "D1", "multi_object": false, "asset_subject": "label", "multi_specimen": false}, "details": {}, "outputs": [], "warning": null, "metadata": {}, "uploaded": null, "derivatives": null}, "native_id": "p6"}', 'applied', '{"id": "28d018ad-f118-5024-9bc8-7989efed8998", "event": "hpc.job.finished", "payload": {"n": 1, "job": 67, "stage": "barcode", "attempt": 6}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.local", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.returned"}}', '2025-11-29 08:38:38.171409+00', '2025-11-29 08:38:38.332136+00'),
	(13, 'start|7|4700_0|nonce of 7', '/attempts/7/start', 'start', 'returned', 7, '{"nonce": "nonce of 7", "native_id": "4700_0"}', 'applied', '{"id": "bd76080b-0aa2-5a8e-99ce-15635abb7c7d", "event": "hpc.job.started", "payload": {"n": 1, "job": 68, "stage": "derivative", "attempt": 7}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.slurm", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.returned"}}', '2025-11-29 08:38:38.227102+00', '2025-11-29 08:38:38.332136+00'),
	(14, 'complete|7|4700_0|nonce of 7', '/attempts/7/complete', 'finished', 'returned', 7, '{"nonce": "nonce of 7", "result": {"usage": {"cpu_s": null, "seconds": null, "max_rss_mb": null}, "barcode": null, "details": {}, "outputs": [{"path": "derivatives/returned.jpg", "sha256": "abababababababababababababababababababababababababababababababab", "size_bytes": 11}], "warning": null, "metadata": {}, "uploaded": null, "derivatives": []}, "native_id": "4700_0"}', 'applied', '{"id": "6e95548e-c807-5bcc-bd7e-926d28e31b90", "event": "hpc.job.finished", "payload": {"n": 1, "job": 68, "stage": "derivative", "attempt": 7}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.slurm", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.returned"}}', '2025-11-29 08:38:38.231229+00', '2025-11-29 08:38:38.332136+00'),
	(15, 'start|8|4701_0|nonce of 8', '/attempts/8/start', 'start', 'failed', 8, '{"nonce": "nonce of 8", "native_id": "4701_0"}', 'applied', '{"id": "59c8bb6b-b9bc-5c49-af7f-676285e30321", "event": "hpc.job.started", "payload": {"n": 1, "job": 37, "stage": "barcode", "attempt": 8}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.slurm", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.failed"}}', '2025-11-29 08:38:38.307953+00', '2025-11-29 08:38:38.332136+00'),
	(16, 'fail|8|4701_0|nonce of 8', '/attempts/8/fail', 'failed', 'failed', 8, '{"nonce": "nonce of 8", "usage": {"cpu_s": null, "seconds": null, "max_rss_mb": null}, "message": "the image cannot be decoded", "exception": null, "exit_code": null, "native_id": "4701_0", "fail_status": "ERROR"}', 'applied', '{"id": "3c8943f0-3a82-5caf-ad84-fa8ecedb1b8d", "event": "hpc.job.failed", "payload": {"n": 1, "job": 37, "stage": "barcode", "attempt": 8}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.slurm", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.failed"}}', '2025-11-29 08:38:38.311896+00', '2025-11-29 08:38:38.332136+00'),
	(17, 'start|9|4711_0|nonce of 9', '/attempts/9/start', 'start', 'running', 9, '{"nonce": "nonce of 9", "native_id": "4711_0"}', 'applied', '{"id": "87bb1962-d1eb-5765-81b6-66905e507658", "event": "hpc.job.started", "payload": {"n": 1, "job": 73, "stage": "barcode", "attempt": 9}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}, {"prefect.resource.id": "specimen.site.slurm", "prefect.resource.role": "site"}], "resource": {"prefect.resource.id": "specimen.asset.running"}}', '2025-11-29 08:38:38.464417+00', NULL),
	(18, 'specimen.asset.attention|ab1ea86d-2378-4d92-a558-a25f845935af', 'specimen.asset.attention', 'announcement', NULL, NULL, '{"by": "dispatcher", "attention": "attention.tif: a third of it is all zero, as a copy that was cut short leaves them"}', 'recorded', '{"id": "6856d559-a4a9-5d3f-9542-1bddb6a4113a", "event": "specimen.asset.attention", "payload": {"by": "dispatcher", "attention": "attention.tif: a third of it is all zero, as a copy that was cut short leaves them"}, "related": [{"prefect.resource.id": "specimen.session.99c221ae-d417-48c0-938f-8ed5d5a607a0", "prefect.resource.role": "session"}, {"prefect.resource.id": "specimen.pipeline.HERB", "prefect.resource.role": "pipeline"}], "resource": {"prefect.resource.id": "specimen.asset.attention"}}', '2025-11-29 08:38:38.756884+00', NULL);
INSERT INTO track.job OVERRIDING SYSTEM VALUE VALUES
	(1, 'final', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.389821+00', 0),
	(2, 'final', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.423802+00', 0),
	(3, 'final', 8, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, NULL, '{}', '{}', NULL, 1, '2025-11-29 08:38:37.494215+00', 0),
	(4, 'final', 9, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, 1, '{}', '{}', NULL, 2, '2025-11-29 08:38:37.573425+00', 0),
	(7, 'final_72', 2, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.539983+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.60079+00', 0),
	(8, 'final_72', 3, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.539983+00', false, NULL, '{}', '{}', NULL, 3, '2025-11-29 08:38:37.646977+00', 0),
	(9, 'final_72', 4, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.539983+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.674579+00', 0),
	(10, 'final_72', 5, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.539983+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.700888+00', 0),
	(5, 'final', 10, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.726516+00', 0),
	(6, 'final', 11, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.344118+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.753923+00', 0),
	(13, 'later', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.783289+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.783289+00', 0),
	(14, 'later', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.783289+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.783289+00', 0),
	(15, 'later', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.783289+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.783289+00', 0),
	(16, 'later', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.783289+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.783289+00', 0),
	(11, 'later', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.783289+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.811747+00', 0),
	(12, 'later', 7, 'ready', 'the archive did not answer; it is tried again at 08:48:37', NULL, 0, '2025-11-29 08:48:37.840933+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.840933+00', 1),
	(19, 'attention', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(20, 'attention', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(21, 'attention', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(22, 'attention', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(23, 'claimed', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.712878+00', 0),
	(17, 'attention', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.737868+00', 0),
	(18, 'attention', 7, 'claimed', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, '173453b7-47ef-459a-8d9b-6fd84f4ee1b3', NULL, '2025-11-29 08:38:38.750398+00', 0),
	(25, 'claimed', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(26, 'claimed', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(27, 'claimed', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(28, 'claimed', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(33, 'emitted', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(34, 'emitted', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(38, 'failed', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(39, 'failed', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(40, 'failed', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(44, 'queued_array', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(45, 'queued_array', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(46, 'queued_array', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(50, 'queued_here', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(51, 'queued_here', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(52, 'queued_here', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(56, 'queued_unsent', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(57, 'queued_unsent', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(58, 'queued_unsent', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(60, 'ready', 7, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(61, 'ready', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(62, 'ready', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(63, 'ready', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(64, 'ready', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(69, 'returned', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(70, 'returned', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(74, 'running', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(75, 'running', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(76, 'running', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(59, 'ready', 6, 'ready', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.87047+00', 0),
	(29, 'emitted', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.899477+00', 0),
	(30, 'emitted', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:37.923455+00', 0),
	(31, 'emitted', 8, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', '{}', NULL, 4, '2025-11-29 08:38:37.976785+00', 0),
	(79, 'emitted_72', 4, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.014186+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.014186+00', 0),
	(80, 'emitted_72', 5, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.014186+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.014186+00', 0),
	(78, 'emitted_72', 3, 'claimed', NULL, NULL, 0, '2025-11-29 08:38:38.014186+00', false, NULL, '{}', NULL, '173453b7-47ef-459a-8d9b-6fd84f4ee1b3', NULL, '2025-11-29 08:38:38.082736+00', 0),
	(32, 'emitted', 9, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, 1, '{}', '{}', NULL, 5, '2025-11-29 08:38:38.041675+00', 0),
	(77, 'emitted_72', 2, 'done', NULL, NULL, 0, '2025-11-29 08:38:38.014186+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.065436+00', 0),
	(65, 'returned', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.101433+00', 0),
	(66, 'returned', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.12831+00', 0),
	(67, 'returned', 8, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', '{}', NULL, 6, '2025-11-29 08:38:38.192493+00', 0),
	(36, 'failed', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.275287+00', 0),
	(68, 'returned', 9, 'returned', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, 0, '{}', '{}', NULL, 7, '2025-11-29 08:38:38.231229+00', 0),
	(35, 'failed', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.248915+00', 0),
	(37, 'failed', 8, 'failed', 'the image cannot be decoded', NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, 8, '2025-11-29 08:38:38.311896+00', 0),
	(71, 'running', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.346306+00', 0),
	(72, 'running', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.372479+00', 0),
	(41, 'queued_array', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.41212+00', 0),
	(42, 'queued_array', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.435579+00', 0),
	(43, 'queued_array', 8, 'queued', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, 10, '2025-11-29 08:38:38.45712+00', 0),
	(73, 'running', 8, 'running', 'started by 4711_0', NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, 9, '2025-11-29 08:38:38.464417+00', 0),
	(47, 'queued_here', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.479974+00', 0),
	(48, 'queued_here', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.502067+00', 0),
	(49, 'queued_here', 8, 'queued', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, 11, '2025-11-29 08:38:38.523998+00', 0),
	(53, 'queued_unsent', 6, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.540266+00', 0),
	(54, 'queued_unsent', 7, 'done', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.683456+00', 0),
	(55, 'queued_unsent', 8, 'queued', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, NULL, 12, '2025-11-29 08:38:38.70003+00', 0),
	(24, 'claimed', 7, 'claimed', NULL, NULL, 0, '2025-11-29 08:38:37.87047+00', false, NULL, '{}', NULL, '173453b7-47ef-459a-8d9b-6fd84f4ee1b3', NULL, '2025-11-29 08:38:38.724373+00', 0),
	(87, 'plain', 6, 'failed', 'plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(81, 'drawer', 6, 'failed', 'drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(88, 'plain', 7, 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(89, 'plain', 8, 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(90, 'plain', 9, 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(91, 'plain', 10, 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(92, 'plain', 11, 'failed', 'quarantined: plain.json: it names the format TIF, and there is only plain.jpg; drop both again', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.792612+00', 0),
	(82, 'drawer', 7, 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(83, 'drawer', 8, 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(84, 'drawer', 9, 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(85, 'drawer', 10, 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(86, 'drawer', 11, 'failed', 'quarantined: drawer 4: left.tif: it is not a TIFF; its first bytes are text; export it again, then drop it', NULL, 0, '2025-11-29 08:38:38.768968+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.805452+00', 0),
	(94, 'early', 7, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(95, 'early', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(96, 'early', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(97, 'early', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(98, 'early', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(93, 'early', 6, 'ready', NULL, NULL, 0, '2025-11-29 08:38:38.81609+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.81609+00', 0),
	(100, 'told', 7, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0),
	(101, 'told', 8, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0);
INSERT INTO track.job OVERRIDING SYSTEM VALUE VALUES
	(102, 'told', 9, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0),
	(103, 'told', 10, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0),
	(104, 'told', 11, 'waiting', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0),
	(99, 'told', 6, 'ready', NULL, NULL, 0, '2025-11-29 08:38:38.837823+00', false, NULL, '{}', NULL, NULL, NULL, '2025-11-29 08:38:38.837823+00', 0);
INSERT INTO track.pipeline OVERRIDING SYSTEM VALUE VALUES
	(1, 'UNREADABLE', '{"stages": [{"key": "ingest", "run": "refinery.ingest"}], "pipeline": "UNREADABLE"}', '27a5fdaf8d99fe84fd73510c0efd3928f9f67434b43c6bc8a54ed8ed11429a89', '{"new_assets_mb": null, "synchronising": null, "derivatives_mb": null, "open_shares_mb": null, "assets_in_flight": null}', '[]', true, '2025-11-29 08:38:37.295863+00', '2025-11-29 08:38:37.295863+00'),
	(2, 'DERIVATIVE', '{"stages": [{"key": "create", "run": "refinery.create"}, {"key": "uploader", "run": "module upload", "needs": [{"stage": "create"}]}, {"key": "synchronise", "run": "refinery.synchronise", "needs": [{"stage": "uploader"}]}, {"key": "finalise", "run": "refinery.finalise", "needs": [{"stage": "synchronise"}]}], "pipeline": "DERIVATIVE"}', '852ce50b29a817c164d092e85e17a0fa631342f68eef93e0fab3f4d804cbae32', '{"new_assets_mb": null, "synchronising": null, "derivatives_mb": null, "open_shares_mb": null, "assets_in_flight": null}', '[]', true, '2025-11-29 08:38:37.295863+00', '2025-11-29 08:38:37.295863+00'),
	(3, 'HERB', '{"stages": [{"key": "ingest", "run": "refinery.ingest"}, {"key": "create", "run": "refinery.create", "needs": [{"stage": "ingest"}]}, {"key": "barcode", "run": "module barcode", "needs": [{"stage": "create"}], "writes": ["asset_subject", "barcode", "multi_specimen"]}, {"key": "derivative", "run": "module derive", "emits": "DERIVATIVE", "needs": [{"stage": "barcode"}], "params": {"ppi": [72]}}, {"key": "synchronise", "run": "refinery.synchronise", "needs": [{"stage": "derivative"}, {"of": "children", "stage": "synchronise"}]}, {"key": "finalise", "run": "refinery.finalise", "needs": [{"stage": "synchronise"}]}], "exclude": [{"when": "asset_subject == \"device target\"", "after": "barcode", "stages": ["derivative"]}], "pipeline": "HERB", "throttle": {"assets_in_flight": 30}}', '677f0af7a2ccd5c8359657b4f88c9240345a53cceb858fa5150eae9c62e52527', '{"new_assets_mb": null, "synchronising": null, "derivatives_mb": null, "open_shares_mb": null, "assets_in_flight": 30}', '[{"when": "asset_subject == \"device target\"", "after": "barcode", "stages": ["derivative"]}]', true, '2025-11-29 08:38:37.295863+00', '2025-11-29 08:38:37.295863+00');
INSERT INTO track.retention OVERRIDING SYSTEM VALUE VALUES
	(2, 'ndrive', 'final', '/museum/n-drive/WORKHERB0001/finished', '{erda}', '2025-12-06 08:38:37.753923+00', NULL, NULL),
	(1, 'site', 'final_72', 'local', '{erda}', '2025-11-29 08:38:37.774448+00', NULL, NULL),
	(3, 'store', 'final', '/museum/store/final', '{erda}', '2025-11-29 08:38:37.774448+00', NULL, NULL),
	(4, 'site', 'final', 'local', '{erda}', '2025-11-29 08:38:37.774448+00', NULL, NULL);
INSERT INTO track.session VALUES
	('d116b6b0-7a6f-4d04-b024-ed8db856624c', '/museum/n-drive/WORKHERB0001/finished', '/museum/n-drive/WORKHERB0001/finished', 'hfinished', 'WORKHERB0001', '2025-11-29 08:38:37.336351+00', '2025-11-29 08:38:37.339294+00', '2025-11-29 08:38:37.36794+00', NULL, NULL, '2025-11-29 08:38:37.776847+00', '[]', NULL, NULL, NULL),
	('cb33d640-dbee-451e-83d9-027488be2dbd', '/museum/n-drive/WORKHERB0001/parked', '/museum/n-drive/WORKHERB0001/parked', 'hparked', 'WORKHERB0001', '2025-11-29 08:38:37.778713+00', '2025-11-29 08:38:37.780271+00', '2025-11-29 08:38:37.798642+00', NULL, NULL, NULL, '[]', '2025-11-29 08:38:37.856049+00', '2025-11-29 08:48:37.840933+00', NULL),
	('99c221ae-d417-48c0-938f-8ed5d5a607a0', '/museum/n-drive/WORKHERB0001/died', '/museum/n-drive/WORKHERB0001/died', 'hdied', 'WORKHERB0001', '2025-11-29 08:38:37.865867+00', '2025-11-29 08:38:37.867452+00', '2025-11-29 08:38:37.887088+00', NULL, NULL, NULL, '[]', NULL, NULL, NULL),
	('d30d47c2-3f1d-4321-952e-e354a94d8319', '/museum/n-drive/WORKHERB0001/refused', '/museum/n-drive/WORKHERB0001/refused', 'hrefused', 'WORKHERB0001', '2025-11-29 08:38:38.763983+00', '2025-11-29 08:38:38.765877+00', '2025-11-29 08:38:38.782335+00', NULL, NULL, NULL, '[]', NULL, NULL, NULL),
	('7304f066-7000-4610-985b-a0211fc76d0e', '/museum/n-drive/WORKHERB0001/asked', '/museum/n-drive/WORKHERB0001/asked', 'hasked', 'WORKHERB0001', '2025-11-29 08:38:38.811543+00', '2025-11-29 08:38:38.813114+00', '2025-11-29 08:38:38.829524+00', '2025-11-29 08:38:38.831309+00', NULL, NULL, '[]', NULL, NULL, NULL),
	('ebb59ba7-8fbb-4669-afaa-9bc6b1fb8333', '/museum/n-drive/WORKHERB0001/asked_and_told', '/museum/n-drive/WORKHERB0001/asked_and_told', 'hasked_and_told', 'WORKHERB0001', '2025-11-29 08:38:38.833075+00', '2025-11-29 08:38:38.834831+00', '2025-11-29 08:38:38.850963+00', '2025-11-29 08:38:38.852729+00', '2025-11-29 08:38:38.852729+00', NULL, '[]', NULL, NULL, NULL),
	('72537dec-c024-4e58-b6c2-2a15a79b2fa7', '/museum/n-drive/WORKHERB0001/unannounced', '/museum/n-drive/WORKHERB0001/unannounced', 'hunannounced', 'WORKHERB0001', '2025-11-29 08:38:38.860135+00', NULL, NULL, NULL, NULL, NULL, '[]', NULL, NULL, NULL);
INSERT INTO track.site VALUES
	('local', 'local', 0, '{"kind": "local", "root": "/museum/sites/local", "site": "local"}', true, NULL, '2025-11-29 08:38:37.295863+00', '2025-11-29 08:38:37.295863+00', '{}'),
	('slurm', 'slurm', 1, '{"kind": "slurm", "root": "/work/refinery", "site": "slurm", "block": "slurm", "python": "/work/refinery/venv/bin/python", "callback": "https://refinery.example.org:8000"}', true, NULL, '2025-11-29 08:38:37.295863+00', '2025-11-29 08:38:37.295863+00', '{}');
INSERT INTO track.stage OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'ingest', 'builtin', 'ingest', 0, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(2, 2, 'create', 'builtin', 'create', 0, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(3, 2, 'uploader', 'module', 'upload', 1, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(4, 2, 'synchronise', 'builtin', 'synchronise', 2, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(5, 2, 'finalise', 'builtin', 'finalise', 3, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(6, 3, 'ingest', 'builtin', 'ingest', 0, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(7, 3, 'create', 'builtin', 'create', 1, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(8, 3, 'barcode', 'module', 'barcode', 2, '{}', '{}', '["asset_subject", "barcode", "multi_specimen"]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(9, 3, 'derivative', 'module', 'derive', 3, '{"ppi": [72]}', '{}', '[]', NULL, 'DERIVATIVE', '[]', 2, true, NULL, NULL, NULL),
	(10, 3, 'synchronise', 'builtin', 'synchronise', 4, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL),
	(11, 3, 'finalise', 'builtin', 'finalise', 5, '{}', '{}', '[]', NULL, NULL, '[]', 2, true, NULL, NULL, NULL);
SELECT pg_catalog.setval('track.attempt_id_seq', 12, true);
SELECT pg_catalog.setval('track.batch_id_seq', 10, true);
SELECT pg_catalog.setval('track.edge_id_seq', 9, true);
SELECT pg_catalog.setval('track.file_id_seq', 13, true);
SELECT pg_catalog.setval('track.history_id_seq', 194, true);
SELECT pg_catalog.setval('track.inbox_id_seq', 18, true);
SELECT pg_catalog.setval('track.job_id_seq', 104, true);
SELECT pg_catalog.setval('track.pipeline_id_seq', 3, true);
SELECT pg_catalog.setval('track.retention_id_seq', 4, true);
SELECT pg_catalog.setval('track.stage_id_seq', 11, true);
ALTER TABLE ONLY metadata.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (asset_guid);
ALTER TABLE ONLY metadata.revision
    ADD CONSTRAINT revision_pkey PRIMARY KEY (asset_guid, revision);
ALTER TABLE ONLY mos.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (asset_guid);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY track.asset
    ADD CONSTRAINT asset_pkey PRIMARY KEY (guid);
ALTER TABLE ONLY track.attempt
    ADD CONSTRAINT attempt_job_id_n_key UNIQUE (job_id, n);
ALTER TABLE ONLY track.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.batch
    ADD CONSTRAINT batch_key_key UNIQUE (key);
ALTER TABLE ONLY track.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.dispatcher
    ADD CONSTRAINT dispatcher_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.edge
    ADD CONSTRAINT edge_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.edge
    ADD CONSTRAINT edge_stage_id_upstream_id_selector_dx_dy_dz_key UNIQUE (stage_id, upstream_id, selector, dx, dy, dz);
ALTER TABLE ONLY track.file
    ADD CONSTRAINT file_asset_guid_name_key UNIQUE (asset_guid, name);
ALTER TABLE ONLY track.file
    ADD CONSTRAINT file_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.inbox
    ADD CONSTRAINT inbox_dedupe_key_key UNIQUE (dedupe_key);
ALTER TABLE ONLY track.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.job
    ADD CONSTRAINT job_asset_guid_stage_id_key UNIQUE (asset_guid, stage_id);
ALTER TABLE ONLY track.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.pipeline
    ADD CONSTRAINT pipeline_name_key UNIQUE (name);
ALTER TABLE ONLY track.pipeline
    ADD CONSTRAINT pipeline_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.retention
    ADD CONSTRAINT retention_kind_asset_guid_location_key UNIQUE (kind, asset_guid, location);
ALTER TABLE ONLY track.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.session
    ADD CONSTRAINT session_opened_as_listing_hash_key UNIQUE (opened_as, listing_hash);
ALTER TABLE ONLY track.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);
ALTER TABLE ONLY track.site
    ADD CONSTRAINT site_pkey PRIMARY KEY (name);
ALTER TABLE ONLY track.stage
    ADD CONSTRAINT stage_pkey PRIMARY KEY (id);
CREATE INDEX document_owed ON metadata.document USING btree (asset_guid) WHERE (revision > ars_revision);
CREATE INDEX member_label ON mos.member USING btree (unique_label_id);
CREATE INDEX asset_batch ON track.asset USING btree (batch_name);
CREATE INDEX asset_in_flight ON track.asset USING btree (pipeline_id) WHERE ((admitted_at IS NOT NULL) AND (released_at IS NULL));
CREATE INDEX asset_lattice ON track.asset USING btree (pipeline_id, z, y, x);
CREATE INDEX asset_parent ON track.asset USING btree (parent_guid);
CREATE INDEX asset_pipeline ON track.asset USING btree (pipeline_id, guid);
CREATE INDEX asset_reopened ON track.asset USING btree (guid) WHERE (reopened_at IS NOT NULL);
CREATE INDEX asset_session ON track.asset USING btree (session_id);
CREATE INDEX asset_share ON track.asset USING btree (guid) WHERE (share_mb IS NOT NULL);
CREATE INDEX attempt_batch ON track.attempt USING btree (batch_id);
CREATE INDEX attempt_open ON track.attempt USING btree (site) WHERE (closed_at IS NULL);
CREATE INDEX batch_open ON track.batch USING btree (site) WHERE (ended_at IS NULL);
CREATE INDEX dispatcher_live ON track.dispatcher USING btree (session_id) WHERE (ended_at IS NULL);
CREATE INDEX edge_upstream ON track.edge USING btree (upstream_id);
CREATE INDEX file_synchronised ON track.file USING btree (synchronised_at);
CREATE INDEX history_alarm ON track.history USING btree (what, id) WHERE (what ~~ 'alarm.%'::text);
CREATE INDEX history_asset ON track.history USING btree (asset_guid, id);
CREATE INDEX history_job ON track.history USING btree (job_id, id);
CREATE INDEX inbox_asset ON track.inbox USING btree (asset_guid);
CREATE INDEX inbox_unannounced ON track.inbox USING btree (id) WHERE ((announced_at IS NULL) AND (event IS NOT NULL));
CREATE INDEX job_moving ON track.job USING btree (state) WHERE (state = ANY (ARRAY['claimed'::text, 'queued'::text, 'running'::text, 'returned'::text]));
CREATE INDEX job_ready ON track.job USING btree (available_at) WHERE (state = 'ready'::text);
CREATE INDEX job_stage ON track.job USING btree (stage_id, state);
CREATE INDEX job_stopped ON track.job USING btree (updated_at) WHERE (state = ANY (ARRAY['failed'::text, 'cancelled'::text]));
CREATE INDEX retention_due ON track.retention USING btree (due_at) WHERE (done_at IS NULL);
CREATE INDEX session_asked ON track.session USING btree (wake_requested_at) WHERE (wake_requested_at IS NOT NULL);
CREATE INDEX session_due ON track.session USING btree (wake_at) WHERE (wake_at IS NOT NULL);
CREATE INDEX session_new ON track.session USING btree (announced_at) WHERE (registered_at IS NULL);
CREATE INDEX session_parked ON track.session USING btree (parked_at) WHERE ((parked_at IS NOT NULL) AND (finished_at IS NULL));
CREATE INDEX session_room ON track.session USING btree (opened_at) WHERE (room IS NOT NULL);
CREATE UNIQUE INDEX stage_key ON track.stage USING btree (pipeline_id, key) WHERE (archived_at IS NULL);
ALTER TABLE ONLY metadata.document
    ADD CONSTRAINT document_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY metadata.revision
    ADD CONSTRAINT revision_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES metadata.document(asset_guid);
ALTER TABLE ONLY mos.member
    ADD CONSTRAINT member_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY track.asset
    ADD CONSTRAINT asset_parent_guid_fkey FOREIGN KEY (parent_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY track.asset
    ADD CONSTRAINT asset_pipeline_id_fkey FOREIGN KEY (pipeline_id) REFERENCES track.pipeline(id);
ALTER TABLE ONLY track.asset
    ADD CONSTRAINT asset_session_id_fkey FOREIGN KEY (session_id) REFERENCES track.session(id);
ALTER TABLE ONLY track.attempt
    ADD CONSTRAINT attempt_job_id_fkey FOREIGN KEY (job_id) REFERENCES track.job(id);
ALTER TABLE ONLY track.batch
    ADD CONSTRAINT batch_stage_id_fkey FOREIGN KEY (stage_id) REFERENCES track.stage(id);
ALTER TABLE ONLY track.dispatcher
    ADD CONSTRAINT dispatcher_session_id_fkey FOREIGN KEY (session_id) REFERENCES track.session(id);
ALTER TABLE ONLY track.edge
    ADD CONSTRAINT edge_stage_id_fkey FOREIGN KEY (stage_id) REFERENCES track.stage(id);
ALTER TABLE ONLY track.edge
    ADD CONSTRAINT edge_upstream_id_fkey FOREIGN KEY (upstream_id) REFERENCES track.stage(id);
ALTER TABLE ONLY track.file
    ADD CONSTRAINT file_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY track.job
    ADD CONSTRAINT job_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY track.job
    ADD CONSTRAINT job_stage_id_fkey FOREIGN KEY (stage_id) REFERENCES track.stage(id);
ALTER TABLE ONLY track.retention
    ADD CONSTRAINT retention_asset_guid_fkey FOREIGN KEY (asset_guid) REFERENCES track.asset(guid);
ALTER TABLE ONLY track.stage
    ADD CONSTRAINT stage_pipeline_id_fkey FOREIGN KEY (pipeline_id) REFERENCES track.pipeline(id);
