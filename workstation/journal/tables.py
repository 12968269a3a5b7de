"""The tables of the journal."""

LAYOUT = 1
"""The form of the tables; a journal of a later one is not touched."""

TABLES = """
CREATE TABLE session (
    id INTEGER PRIMARY KEY, folder TEXT NOT NULL, folder_key TEXT NOT NULL,
    workstation TEXT NOT NULL, name TEXT NOT NULL, choices TEXT NOT NULL,
    delete_after TEXT NOT NULL CHECK (delete_after IN ('confirmed', 'archived')),
    is_kept INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'renamed', 'sent', 'ended')),
    begun_at TEXT NOT NULL, ended_at TEXT, UNIQUE (workstation, name),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX unfinished ON session (folder_key) WHERE ended_at IS NULL;
CREATE TABLE file (
    id INTEGER PRIMARY KEY, session_id INTEGER NOT NULL REFERENCES session, stem TEXT NOT NULL,
    guid TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('image', 'metadata', 'raw')),
    original_name TEXT NOT NULL, new_name TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, captured_at TEXT NOT NULL,
    doubt TEXT NOT NULL, is_sent INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('planned', 'renamed', 'stored', 'confirmed', 'deleted', 'kept', 'left_out')),
    upload_url TEXT NOT NULL DEFAULT '', content BLOB, UNIQUE (new_name)
) STRICT;
CREATE INDEX file_guid ON file (guid);
"""

COLUMNS = """id, session_id, stem, guid, kind, original_name, new_name, size_bytes, mtime_ns,
    sha256, captured_at, doubt, is_sent, state, upload_url"""
