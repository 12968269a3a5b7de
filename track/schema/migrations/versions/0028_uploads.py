"""Files that workstations send through the upload API."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

MOMENT = sa.DateTime(timezone=True)
RECEIVING = "stored_at IS NULL AND ended_at IS NULL"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "upload",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("workstation", "session", "file_name", "file_key", "guid")
        ),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("algorithm", "checksum", "sent_by")
        ),
        *(
            sa.Column(name, MOMENT, nullable=False, server_default=sa.func.now())
            for name in ("begun_at", "touched_at")
        ),
        sa.Column("sha256", sa.Text),
        sa.Column("crc32", sa.BigInteger),
        *(sa.Column(name, MOMENT) for name in ("stored_at", "confirmed_at", "ended_at")),
        sa.Column("problem", sa.Text),
        sa.Column("opens_session", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("completed_at", MOMENT),
        schema="track",
    )
    _index(
        "upload_stored", "file_key", where="stored_at IS NOT NULL AND ended_at IS NULL", one=True
    )
    _index("upload_receiving", "workstation", "session", "file_key", where=RECEIVING, one=True)
    _index("upload_idle", "touched_at", where=RECEIVING)
    _index("upload_in_session", "workstation", "session")
    _index("upload_session", "workstation", "begun_at", where="opens_session")
    _index("upload_open", "workstation", where="opens_session AND completed_at IS NULL")
    _index("upload_first", "workstation", "session", where="opens_session", one=True)


def _index(name: str, *columns: str, where: str = "", one: bool = False) -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name, "upload", [*columns], schema="track", unique=one, postgresql_where=condition
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("upload", schema="track")
