"""Agents: who takes work at a site that nobody drives, and what each of them holds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0020"
down_revision = "0019"

PRESENT = "closed_at IS NULL AND agent_id IS NOT NULL"
OPEN = "ended_at IS NULL AND agent_id IS NOT NULL"


def upgrade() -> None:
    """Make table, columns and indexes."""
    when = sa.DateTime(timezone=True)
    for table, column in (
        ("attempt", sa.Column("agent_id", sa.BigInteger())),
        ("attempt", sa.Column("lease_until", when)),
        ("batch", sa.Column("agent_id", sa.BigInteger())),
        ("batch", sa.Column("request_id", sa.Text())),
        ("site", sa.Column("joins", JSONB(), nullable=False, server_default=sa.text("'{}'"))),
    ):
        op.add_column(table, column, schema="track")
    for name, table, where in (
        ("attempt_held", "attempt", PRESENT),
        ("batch_agent", "batch", OPEN),
    ):
        op.create_index(name, table, ["agent_id"], schema="track", postgresql_where=sa.text(where))
    empty, blank = sa.text("'{}'"), sa.text("''")
    op.create_table(
        "agent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("joined_by", sa.Text(), nullable=False),
        sa.Column("tokens", ARRAY(sa.Text()), nullable=False, server_default=empty),
        sa.Column("order", sa.Text(), nullable=False, server_default=sa.text("'run'")),
        sa.Column("rotate", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("capacity", JSONB(), nullable=False),
        sa.Column("labels", ARRAY(sa.Text()), nullable=False, server_default=empty),
        sa.Column("prefixes", JSONB(), nullable=False, server_default=empty),
        sa.Column("facts", JSONB(), nullable=False, server_default=empty),
        sa.Column("load", JSONB()),
        sa.Column("held", sa.Integer()),
        sa.Column("version", sa.Text(), nullable=False, server_default=blank),
        sa.Column("joined_at", when, nullable=False, server_default=sa.text("now()")),
        sa.Column("seen_at", when),
        sa.Column("gone_at", when),
        sa.Column("gone_why", sa.Text()),
        sa.CheckConstraint("\"order\" IN ('run', 'drain', 'stop')", name="agent_order"),
        schema="track",
    )
    op.create_index(
        "agent_present",
        "agent",
        ["site"],
        schema="track",
        postgresql_where=sa.text("gone_at IS NULL"),
    )
    op.create_index("agent_joined", "agent", ["joined_by"], schema="track")
