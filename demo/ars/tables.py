"""The stand-in's tables, in a schema of their own.

Every statement may run again on a database that has them, so starting is also migrating.
"""

SCHEMA = "ars"

CREATE = """
CREATE SCHEMA IF NOT EXISTS ars;

CREATE TABLE IF NOT EXISTS ars.signing_key (
    id int PRIMARY KEY CHECK (id = 1),
    private_pem text NOT NULL,
    not_before timestamptz
);
CREATE TABLE IF NOT EXISTS ars.client (
    client_id text PRIMARY KEY,
    secret_sha256 text NOT NULL,
    roles text[] NOT NULL
);

CREATE TABLE IF NOT EXISTS ars.institution (
    name text PRIMARY KEY,
    role_restrictions text[] NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS ars.collection (
    institution text NOT NULL REFERENCES ars.institution,
    name text NOT NULL,
    role_restrictions text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (institution, name)
);
CREATE TABLE IF NOT EXISTS ars.pipeline (
    institution text NOT NULL REFERENCES ars.institution,
    name text NOT NULL,
    PRIMARY KEY (institution, name)
);
CREATE TABLE IF NOT EXISTS ars.workstation (
    institution text NOT NULL REFERENCES ars.institution,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'IN_SERVICE',
    PRIMARY KEY (institution, name)
);
CREATE TABLE IF NOT EXISTS ars.term (
    kind text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE IF NOT EXISTS ars.specimen (
    specimen_id serial PRIMARY KEY,
    institution text NOT NULL,
    collection text NOT NULL,
    barcode text NOT NULL,
    specimen_pid text NOT NULL UNIQUE,
    preparation_types text[] NOT NULL,
    role_restrictions text[] NOT NULL DEFAULT '{}',
    UNIQUE (institution, collection, barcode),
    FOREIGN KEY (institution, collection) REFERENCES ars.collection (institution, name)
);

CREATE TABLE IF NOT EXISTS ars.asset (
    asset_guid text PRIMARY KEY,
    asset_id bigserial UNIQUE,
    institution text NOT NULL,
    collection text NOT NULL,
    document jsonb NOT NULL,
    internal_status text NOT NULL,
    error_message text,
    error_timestamp timestamptz,
    created_date timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_date timestamptz NOT NULL,
    updated_by text,
    FOREIGN KEY (institution, collection) REFERENCES ars.collection (institution, name)
);
CREATE TABLE IF NOT EXISTS ars.asset_specimen (
    asset_specimen_id serial PRIMARY KEY,
    asset_guid text NOT NULL REFERENCES ars.asset ON DELETE CASCADE,
    specimen_id int NOT NULL REFERENCES ars.specimen,
    asset_preparation_type text,
    specify_collection_object_attachment_id int,
    asset_detached boolean NOT NULL DEFAULT false,
    UNIQUE (asset_guid, specimen_id)
);
CREATE TABLE IF NOT EXISTS ars.event (
    event_id bigserial PRIMARY KEY,
    asset_guid text NOT NULL REFERENCES ars.asset ON DELETE CASCADE,
    username text,
    at timestamptz NOT NULL,
    event text NOT NULL,
    pipeline text,
    change_list jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX IF NOT EXISTS event_of_asset ON ars.event (asset_guid);
CREATE SEQUENCE IF NOT EXISTS ars.issue_id;

CREATE TABLE IF NOT EXISTS ars.share (
    share_id serial PRIMARY KEY,
    asset_guid text NOT NULL UNIQUE,
    institution text NOT NULL,
    collection text NOT NULL,
    parents text[] NOT NULL DEFAULT '{}',
    users text[] NOT NULL,
    allocation_mb int NOT NULL,
    awaiting boolean NOT NULL DEFAULT false,
    attempts int NOT NULL DEFAULT 0,
    sync_user text,
    sync_pipeline text
);
CREATE TABLE IF NOT EXISTS ars.file (
    file_id serial PRIMARY KEY,
    asset_guid text NOT NULL,
    path text NOT NULL,
    size_bytes bigint NOT NULL,
    crc bigint NOT NULL,
    mime_type text,
    has_thumbnail boolean NOT NULL DEFAULT false,
    sync_status text NOT NULL DEFAULT 'NEW_FILE',
    delete_after_sync boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS file_of_asset ON ars.file (asset_guid);

CREATE TABLE IF NOT EXISTS ars.request (
    request_id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    method text NOT NULL,
    path text NOT NULL,
    query text NOT NULL,
    guid text,
    status int,
    effect_status int,
    fault text
);
"""
