"""Sessions and the assets that came with them."""

from sqlalchemy import Column, ForeignKey, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from track.schema.tables.columns import index, now, table, when

session = table(
    "session",
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("path", Text, nullable=False),  # where the folder lies now
    Column("opened_as", Text, nullable=False),  # where it lay when first seen
    Column("listing_hash", Text, nullable=False),
    Column("workstation", Text, nullable=False),
    now("opened_at"),
    when("registered_at"),
    when("wake_requested_at"),  # a dispatcher was asked for
    when("finished_at"),
    # Files whose guid was taken in from elsewhere: what is wrong with each, and what to do.
    Column("known", JSONB, nullable=False, server_default=text("'[]'")),
    # What it waits for while nobody is at it (track/jobs/parking.py); a lease clears all of it.
    when("parked_at"),
    when("wake_at"),
    Column("room", JSONB(none_as_null=True)),
    UniqueConstraint("opened_as", "listing_hash"),
    index("session_asked", "wake_requested_at", where="wake_requested_at IS NOT NULL"),
    index("session_new", "opened_at", where="registered_at IS NULL"),
    index("session_parked", "parked_at", where="parked_at IS NOT NULL AND finished_at IS NULL"),
    index("session_due", "wake_at", where="wake_at IS NOT NULL"),
    index("session_room", "opened_at", where="room IS NOT NULL"),
    index(
        "session_unclosed",
        "opened_at",
        where="finished_at IS NOT NULL AND path !~ '/(imported|error)_[^/]*$'",
    ),
    index("session_path", "path"),
    index("session_opened", "opened_at", "id"),
)

asset = table(
    "asset",
    Column("guid", Text, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("pipeline_id", ForeignKey("track.pipeline.id"), nullable=False),
    Column("parent_guid", ForeignKey("track.asset.guid")),
    Column("file_name", Text, nullable=False),  # base name in the session's folder
    Column("batch_name", Text, nullable=False, server_default=text("''")),
    Column("subject", Text, nullable=False, server_default=text("'unknown'")),
    Column("ppi", Integer),  # of a derivative
    *(Column(axis, Integer) for axis in "xyz"),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("attention", Text),
    Column("quarantine", JSONB(none_as_null=True)),  # file, problem, remedy
    Column("source_path", Text),  # the folder on the N-Drive
    Column("local_path", Text),  # the folder in the store
    Column("size_mb", Integer, nullable=False, server_default=text("1")),
    Column("reserved_mb", Integer, nullable=False, server_default=text("0")),
    *map(when, ("admitted_at", "released_at", "finalised_at")),
    when("reopened_at"),  # since when it has something to do again after its end
    when("records_left_at"),  # those of before its last end: see track/records/leaving.py
    Column("share_mb", Integer),  # of its share in the archive, which is or may be open
    when("share_opened_at"),  # null while that is not certain
    now("created_at"),
    index("asset_session", "session_id", "guid"),
    index(
        "asset_person",
        *("session_id", "guid"),
        where="quarantine IS NOT NULL OR attention IS NOT NULL",
    ),
    index("asset_pipeline", "pipeline_id", "guid"),
    index("asset_parent", "parent_guid"),
    index("asset_batch", "batch_name"),
    index("asset_lattice", "pipeline_id", "z", "y", "x"),
    index(
        "asset_in_flight",
        *("pipeline_id", "session_id"),
        where="admitted_at IS NOT NULL AND released_at IS NULL",
    ),
    index("asset_share", "guid", where="share_mb IS NOT NULL"),
    index("asset_reopened", "guid", where="reopened_at IS NOT NULL"),
    index("asset_created", "created_at"),
    index(
        "asset_under_way",
        "created_at",
        where="parent_guid IS NULL AND finalised_at IS NULL AND released_at IS NULL"
        " AND quarantine IS NULL",
    ),
    index(
        "asset_records",
        *("finalised_at", "guid"),
        where="finalised_at IS NOT NULL AND records_left_at IS NULL",
    ),
    index("asset_unfinished", "created_at", "guid", where="finalised_at IS NULL"),
    index("asset_held", "created_at", "guid", where="attention IS NOT NULL"),
)
