"""Files that workstations send through the upload API."""

from sqlalchemy import BigInteger, Boolean, Column, Text, Uuid, text

from track.schema.tables.columns import index, now, table, when

upload = table(
    "upload",
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("workstation", Text, nullable=False),
    Column("session", Text, nullable=False),  # the folder's name; with the workstation it is one
    Column("file_name", Text, nullable=False),
    Column("file_key", Text, nullable=False),  # the name as Windows compares it
    Column("guid", Text, nullable=False),  # of its asset: the name without its ending
    Column("size_bytes", BigInteger, nullable=False),
    Column("algorithm", Text, nullable=False),  # of the announced checksum
    Column("checksum", Text, nullable=False),  # as it was announced
    Column("sent_by", Text, nullable=False),
    now("begun_at"),
    now("touched_at"),  # when bytes of it came last
    Column("sha256", Text),  # of what arrived
    Column("crc32", BigInteger),
    when("stored_at"),  # since when it has its name on the drive
    when("confirmed_at"),  # when it was read back from the drive and was what arrived
    when("ended_at"),  # given up, or replaced after quarantine; `problem` says why
    Column("problem", Text),
    Column("opens_session", Boolean, nullable=False, server_default=text("false")),
    when("completed_at"),  # of the row that opened a session: when the client said it is complete
    index(
        "upload_stored",
        "file_key",
        where="stored_at IS NOT NULL AND ended_at IS NULL",
        unique=True,
    ),
    index(
        "upload_receiving",
        *("workstation", "session", "file_key"),
        where="stored_at IS NULL AND ended_at IS NULL",
        unique=True,
    ),
    index("upload_idle", "touched_at", where="stored_at IS NULL AND ended_at IS NULL"),
    index("upload_in_session", "workstation", "session"),
    index("upload_session", "workstation", "begun_at", where="opens_session"),
    index("upload_open", "workstation", where="opens_session AND completed_at IS NULL"),
    index("upload_first", "workstation", "session", where="opens_session", unique=True),
)
