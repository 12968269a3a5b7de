"""Asking for a dispatcher is a function of the database."""

from alembic import op

from track.schema.waking_function import ALL

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the view of sessions that nobody is at, and the function that asks for them."""
    for statement in ALL:
        op.execute(statement)
