"""A table of what specimens are found by, and a mark from where it is filled.

It is filled afterwards, page by page, while everything runs: `track.records.search`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Make both, and the indexes by which rare states are found."""
    op.create_table(
        "search",
        sa.Column("asset_guid", sa.Text(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True)),
        sa.Column("numbers", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("base", TSVECTOR(), nullable=False, server_default=sa.text("''")),
        sa.Column("words", TSVECTOR(), nullable=False, server_default=sa.text("''")),
        schema="track",
    )
    op.create_index("search_at", "search", ["at", "asset_guid"], schema="track")
    op.create_index("search_taken", "search", ["taken_at"], schema="track")
    op.create_index("search_words", "search", ["words"], schema="track", postgresql_using="gin")
    op.create_table("search_fill", sa.Column("done_to", sa.Text(), nullable=False), schema="track")
    op.execute(
        "INSERT INTO track.search_fill SELECT '' WHERE EXISTS (SELECT FROM track.asset LIMIT 1)"
    )
    for name, condition in (
        ("asset_unfinished", "finalised_at IS NULL"),
        ("asset_held", "attention IS NOT NULL"),
    ):
        op.create_index(
            name,
            "asset",
            ["created_at", "guid"],
            schema="track",
            postgresql_where=sa.text(condition),
        )


def downgrade() -> None:
    """Drop all of it."""
    op.drop_index("asset_held", "asset", schema="track")
    op.drop_index("asset_unfinished", "asset", schema="track")
    op.drop_table("search_fill", schema="track")
    op.drop_table("search", schema="track")
