"""What a session's folder holds that was taken in from elsewhere, for its note."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Give every session an empty list of it."""
    column = sa.Column("known", JSONB(), server_default=sa.text("'[]'"), nullable=False)
    op.add_column("session", column, schema="track")
