"""Small indexes for what stands still: jobs that stopped, and the alarms raised last."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make them; each holds only the rows of its condition."""
    op.create_index(
        "job_stopped",
        "job",
        ["updated_at"],
        schema="track",
        postgresql_where=sa.text("state IN ('failed', 'cancelled')"),
    )
    op.create_index(
        "history_alarm",
        "history",
        ["what", "id"],
        schema="track",
        postgresql_where=sa.text("what LIKE 'alarm.%'"),
    )
