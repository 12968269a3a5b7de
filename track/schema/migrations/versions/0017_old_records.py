"""When the records of an asset left, and an index of those whose records are all here."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make both; nothing that ended before has to be entered anywhere."""
    column = sa.Column("records_left_at", sa.DateTime(timezone=True))
    op.add_column("asset", column, schema="track")
    op.create_index(
        "asset_records",
        "asset",
        ["finalised_at", "guid"],
        schema="track",
        postgresql_where=sa.text("finalised_at IS NOT NULL AND records_left_at IS NULL"),
    )
