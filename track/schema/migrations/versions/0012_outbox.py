"""What is owed to Prefect has a table of its own, that holds nothing else."""

from uuid import uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from schemas.events import NAMESPACE, SESSION_READY, SESSION_WAKE, session_event
from track.schema.waking_function import ALL

revision = "0012"
down_revision = "0011"

OWED = {
    "inbox": ("event", "announced_at"),
    "session": ("announced_at", "wake_announced_at"),
}
"""Columns that said what was announced; the indexes on them go with them."""


def upgrade() -> None:
    """Make the table, move what Prefect has not accepted, and drop what said so until now."""
    outbox = op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("event", JSONB(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        schema="track",
    )
    op.create_index(
        "outbox_wake",
        "outbox",
        [sa.text("(event #>> '{payload,session}')")],
        schema="track",
        postgresql_where=sa.text(f"event ->> 'event' = '{SESSION_WAKE}'"),
    )
    op.execute(
        "INSERT INTO track.outbox (event, created_at) SELECT event, received_at FROM track.inbox"
        " WHERE event IS NOT NULL AND announced_at IS NULL ORDER BY id"
    )
    op.bulk_insert(outbox, [*_ready(), *_wakes()])
    for table, columns in OWED.items():
        for column in columns:
            op.drop_column(table, column, schema="track")
    op.create_index(
        "session_new",
        "session",
        ["opened_at"],
        schema="track",
        postgresql_where=sa.text("registered_at IS NULL"),
    )
    for statement in ALL:
        op.execute(statement)


def _ready() -> list[dict[str, object]]:
    """Of the sessions that nobody was told of; the ids are those that the watch gave."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT id, path, workstation, opened_at FROM track.session"
            " WHERE announced_at IS NULL ORDER BY opened_at"
        )
    )
    return [
        {
            "event": session_event(
                SESSION_READY,
                row.id,
                payload={
                    "session": str(row.id),
                    "path": row.path,
                    "workstation": row.workstation,
                },
                id=uuid5(NAMESPACE, f"{row.id}/{SESSION_READY}"),
            ),
            "created_at": row.opened_at,
        }
        for row in rows
    ]


def _wakes() -> list[dict[str, object]]:
    """Of the sessions that a dispatcher was asked for; the ids are those the announcer gave."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT id, wake_requested_at AS asked FROM track.session"
            " WHERE wake_requested_at IS NOT NULL AND wake_announced_at IS NULL ORDER BY 2"
        )
    )
    return [
        {
            "event": session_event(
                SESSION_WAKE,
                row.id,
                payload={"session": str(row.id)},
                id=uuid5(NAMESPACE, f"wake/{row.id}/{row.asked.isoformat()}"),
            ),
            "created_at": row.asked,
        }
        for row in rows
    ]
