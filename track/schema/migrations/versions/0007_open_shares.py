"""What is known of assets' shares, which assets were opened again, what ERDA took when."""

import sqlalchemy as sa
from alembic import op

from track.schema.views import ALL

revision = "0007"
down_revision = "0006"

PERHAPS_OPEN = """
    UPDATE track.asset a SET share_mb = a.size_mb
    WHERE a.finalised_at IS NULL AND EXISTS (
        SELECT 1 FROM track.job j JOIN track.stage s ON s.id = j.stage_id
        WHERE j.asset_guid = a.guid AND j.state = 'done'
          AND s.kind = 'builtin' AND s.run = 'create')
"""
"""Of an asset on its road nobody has noted whether its share is open: whoever needs it looks."""


def upgrade() -> None:
    """Add the columns and their indexes, and let the view of the track record read them."""
    op.add_column("asset", sa.Column("share_mb", sa.Integer()), schema="track")
    for name in ("share_opened_at", "reopened_at"):
        op.add_column("asset", sa.Column(name, sa.DateTime(timezone=True)), schema="track")
    for name, column in (("asset_share", "share_mb"), ("asset_reopened", "reopened_at")):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "asset", ["guid"], schema="track", postgresql_where=some)
    op.create_index("file_synchronised", "file", ["synchronised_at"], schema="track")
    op.execute(PERHAPS_OPEN)
    for statement in ALL:
        op.execute(statement)
