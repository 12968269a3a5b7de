"""Documents of which the archive lacks a revision are looked for every minute."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make an index of those documents, which are few."""
    op.create_index(
        "document_owed",
        "document",
        ["asset_guid"],
        schema="metadata",
        postgresql_where=sa.text("revision > ars_revision"),
    )
