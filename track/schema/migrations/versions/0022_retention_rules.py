"""How long temporary copies stay, where somebody has decided otherwise than we do."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Make the table; without rows the rules are those of before."""
    op.create_table(
        "retention_rule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), sa.ForeignKey("track.pipeline.id")),
        sa.Column("keep_days", sa.Double(), nullable=False),
        sa.Column("requires", ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_rule_kind"),
        sa.CheckConstraint("keep_days >= 0", name="retention_rule_keep"),
        sa.CheckConstraint("cardinality(requires) > 0", name="retention_rule_requires"),
        sa.UniqueConstraint("kind", "pipeline_id"),
        schema="track",
    )
    op.create_index(
        "retention_rule_every",
        "retention_rule",
        ["kind"],
        unique=True,
        schema="track",
        postgresql_where=sa.text("pipeline_id IS NULL"),
    )


def downgrade() -> None:
    """Drop it: every copy stays as long as it did before there were rules."""
    op.drop_table("retention_rule", schema="track")
