"""The time of a file that was taken in, to know one that was put in its place.

Files from before have none: those whose folder is seen again are read once and given it.
"""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("file", Column("source_mtime", BigInteger), schema="track")
