"""How far the jobs of a stage follow an edit of its pipeline, and a way through its assets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Every stage there is has its jobs; an index gives a pipeline's assets in order."""
    for name in ("filled_to", "judged_to"):
        op.add_column("stage", sa.Column(name, sa.Text()), schema="track")
    op.create_index("asset_pipeline", "asset", ["pipeline_id", "guid"], schema="track")
