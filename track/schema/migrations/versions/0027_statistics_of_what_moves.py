"""Have the planner's statistics follow what moves, however much is over.

PostgreSQL looks at a table anew when a tenth of it has changed (autovacuum_analyze_scale_factor).
With a million specimens that is months of work: a session of fifty thousand is registered and
digitised while the statistics say that nothing moves, and what a claim or a page takes for a row
or two are all that wait. So it is a number of changes, whatever the size of the table.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

TABLES = ("job", "attempt", "asset")


def upgrade() -> None:
    """Set the number."""
    for table in TABLES:
        op.execute(
            f"ALTER TABLE track.{table} SET (autovacuum_analyze_scale_factor = 0,"
            " autovacuum_analyze_threshold = 5000)"
        )


def downgrade() -> None:
    """Back to a share of the table."""
    for table in TABLES:
        op.execute(
            f"ALTER TABLE track.{table}"
            " RESET (autovacuum_analyze_scale_factor, autovacuum_analyze_threshold)"
        )
