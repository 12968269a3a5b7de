"""The three databases: track, metadata and mos."""

from alembic import op

from track.tables import SCHEMAS, catalogue
from track.views import ALL

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the schemas and every table of the first release."""
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    catalogue.create_all(op.get_bind())
    for statement in ALL:
        op.execute(statement)
