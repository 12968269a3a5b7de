"""The track record is read asset by asset, and found by batch."""

from alembic import op

from track.schema.views import ALL

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the view and its functions anew, and an index by batch."""
    for statement in ALL:
        op.execute(statement)
    op.create_index("asset_batch", "asset", ["batch_name"], schema="track")
