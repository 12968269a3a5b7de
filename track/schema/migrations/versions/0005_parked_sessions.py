"""What a parked session waits for, and how often a job was put off without losing a try."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from track.schema.waking_function import ALL

revision = "0005"
down_revision = "0004"

INDEXES = {
    "session_asked": ("wake_requested_at", "wake_requested_at IS NOT NULL"),
    "session_new": ("announced_at", "registered_at IS NULL"),
    "session_parked": ("parked_at", "parked_at IS NOT NULL AND finished_at IS NULL"),
    "session_due": ("wake_at", "wake_at IS NOT NULL"),
    "session_room": ("opened_at", "room IS NOT NULL"),
}


def upgrade() -> None:
    """Add the notes and their indexes; the function that asks takes times from now on."""
    for name in ("parked_at", "wake_at"):
        op.add_column("session", sa.Column(name, sa.DateTime(timezone=True)), schema="track")
    op.add_column("session", sa.Column("room", JSONB()), schema="track")
    pauses = sa.Column("pauses", sa.Integer(), server_default=sa.text("0"), nullable=False)
    op.add_column("job", pauses, schema="track")
    for name, (column, where) in INDEXES.items():
        op.create_index(name, "session", [column], schema="track", postgresql_where=sa.text(where))
    op.execute("DROP FUNCTION IF EXISTS track.ask_for_dispatchers(uuid[])")
    for statement in ALL:
        op.execute(statement)
