"""How many jobs of a stage share a subflow in Prefect; 0: as many as a burst asks for."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column; what there is keeps a subflow per job."""
    column = sa.Column("wave", sa.Integer(), nullable=False, server_default=sa.text("1"))
    op.add_column("stage", column, schema="track")
