"""A stage may run a command: any program, its words kept as its owner wrote them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"

KINDS = "kind IN ('builtin', 'module', 'command', 'script')"


def upgrade() -> None:
    """Let stages be of that kind, and add the column."""
    op.drop_constraint("stage_kind", "stage", schema="track")
    op.create_check_constraint("stage_kind", "stage", KINDS, schema="track")
    op.add_column("stage", sa.Column("command", JSONB(none_as_null=True)), schema="track")
