"""What is asked every minute reads what moves: indexes, kept totals, a view in two parts.

The first count reads all jobs and attempts, once: half a minute with a million specimens.
"""

import sqlalchemy as sa
from alembic import op

from track.schema.totals import ALL
from track.schema.views import FLAGS

revision = "0015"
down_revision = "0014"

INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("job_open", "job", ["state", "updated_at"], "state NOT IN ('done', 'excluded')"),
    ("dispatcher_ended", "dispatcher", ["ended_at"], "ended_at IS NOT NULL"),
    ("dispatcher_run", "dispatcher", ["flow_run_id"], None),
    (
        "session_unclosed",
        "session",
        ["opened_at"],
        "finished_at IS NOT NULL AND path !~ '/(imported|error)_[^/]*$'",
    ),
    ("session_path", "session", ["path"], None),
    ("history_fault", "history", ["what", "actor", "at"], "what IN ('site.node', 'site.fault')"),
    ("asset_created", "asset", ["created_at"], None),
)


def upgrade() -> None:
    """Make them all."""
    for name, table, columns, where in INDEXES:
        condition = sa.text(where) if where else None
        op.create_index(name, table, columns, schema="track", postgresql_where=condition)
    op.create_table(
        "job_total",
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        schema="track",
    )
    op.create_table(
        "usage_total",
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("cpu_s", sa.Double(), nullable=False),
        sa.Column("peak_mb", sa.Double(), nullable=False),
        schema="track",
    )
    for statement in (*ALL, FLAGS):
        op.execute(statement)
