"""Files that lie at one agent alone: which one, until they are uploaded."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

ALONE = "uploaded_at IS NULL AND agent_id IS NOT NULL"


def upgrade() -> None:
    """Make the column and its index."""
    op.add_column("file", sa.Column("agent_id", sa.BigInteger()), schema="track")
    op.create_index(
        "file_at_agent", "file", ["agent_id"], schema="track", postgresql_where=sa.text(ALONE)
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_column("file", "agent_id", schema="track")
