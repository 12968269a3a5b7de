"""What the board's lists of sessions and of what needs a person read, as ranges of indexes.

Specimens are many, those that need a person few: the last three hold only these.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("session_opened", "session", ["opened_at", "id"], None),
    ("dispatcher_session", "dispatcher", ["session_id", "started_at"], None),
    ("asset_session", "asset", ["session_id", "guid"], None),
    (
        "asset_person",
        "asset",
        ["session_id", "guid"],
        "quarantine IS NOT NULL OR attention IS NOT NULL",
    ),
    (
        "job_stopped_session",
        "job",
        ["session_id", "asset_guid"],
        "state IN ('failed', 'cancelled')",
    ),
    ("job_warned", "job", ["updated_at"], "warning IS NOT NULL"),
)


def upgrade() -> None:
    """Make them; the index of a session's assets has their guids now, to be read in pages."""
    op.drop_index("asset_session", "asset", schema="track")
    for name, table, columns, where in INDEXES:
        condition = sa.text(where) if where else None
        op.create_index(name, table, columns, schema="track", postgresql_where=condition)
