"""What a site's queue is ordered by lies with its attempts, and an index has them in that order.

The few that are open are given it; of the others nobody asks.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

OPEN = """
    UPDATE track.attempt t SET priority = j.priority, position = s.position
    FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE t.closed_at IS NULL AND j.id = t.job_id
"""


def upgrade() -> None:
    """Make columns and index."""
    for name in ("priority", "position"):
        column = sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
        op.add_column("attempt", column, schema="track")
    op.execute(OPEN)
    op.create_index(
        "attempt_queue",
        "attempt",
        ["site", sa.text("priority DESC"), sa.text("position DESC"), "id"],
        schema="track",
        postgresql_where=sa.text("closed_at IS NULL AND batch_id IS NULL"),
    )
