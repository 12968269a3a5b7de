"""Batches that a site refused, in the order in which they leave the database.

No attempt refers to them, so they are nobody's; those that a site took leave with their attempts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "batch_refused",
        "batch",
        ["ended_at", "id"],
        schema="track",
        postgresql_where=sa.text("state = 'refused'"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_index("batch_refused", "batch", schema="track")
