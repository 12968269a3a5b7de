"""Since when a site's driver is expected, and what modules a site cannot run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Every site is expected to be driven from now on, and to run everything."""
    moment = sa.Column(
        "expected_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
    )
    op.add_column("site", moment, schema="track")
    lacks = sa.Column("lacks", JSONB(), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("site", lacks, schema="track")
