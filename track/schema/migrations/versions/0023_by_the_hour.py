"""What came, ended and was used, by the hour; specimens under way; since when a site is degraded.

The first count reads all assets and attempts, once: half a minute with a million specimens.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from track.schema.hours import ALL, ASSET_COUNTS, USAGE_COLUMNS

revision = "0023"
down_revision = "0022"

UNDER_WAY = (
    "parent_guid IS NULL AND finalised_at IS NULL AND released_at IS NULL AND quarantine IS NULL"
)


def upgrade() -> None:
    """Make the tables, count what there is, and make the indexes."""
    op.create_table(
        "asset_hour",
        _hour(),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ASSET_COUNTS),
        _folded(),
        schema="track",
    )
    op.create_table(
        "usage_hour",
        _hour(),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        *(_usage(name) for name in USAGE_COLUMNS),
        _folded(),
        schema="track",
    )
    for table, key in (("asset_hour", ["hour"]), ("usage_hour", ["hour", "stage_id", "site"])):
        _index(f"{table}_folded", table, key, "folded", unique=True)
        _index(f"{table}_new", table, ["hour"], "NOT folded")
    _index("asset_under_way", "asset", ["created_at"], UNDER_WAY)
    column = sa.Column("degraded_at", sa.DateTime(timezone=True))
    op.add_column("site", column, schema="track")
    for statement in ALL:
        op.execute(statement)


def _hour() -> "sa.Column[datetime]":
    return sa.Column("hour", sa.DateTime(timezone=True), nullable=False)


def _folded() -> "sa.Column[bool]":
    return sa.Column("folded", sa.Boolean(), nullable=False, server_default=sa.text("false"))


def _usage(name: str) -> "sa.Column[Any]":
    extreme = name.endswith(("_least", "_most"))
    kind = sa.BigInteger if name.endswith("_n") else sa.Double
    return sa.Column(name, kind(), nullable=extreme)


def _index(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    op.create_index(
        name, table, columns, unique=unique, schema="track", postgresql_where=sa.text(where)
    )
