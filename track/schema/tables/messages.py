"""What was received, what is to be sent, and everything that ever changed."""

from sqlalchemy import BigInteger, Column, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from track.schema.tables.columns import index, now, numbered, table

inbox = table(
    "inbox",
    numbered(),
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("asset_guid", Text),
    Column("attempt_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Column("applied", Text, nullable=False),  # applied, stale, repeated, recorded
    now("received_at"),
    index("inbox_asset", "asset_guid"),
)

outbox = table(
    "outbox",
    numbered(),
    Column("event", JSONB, nullable=False),
    now("created_at"),
    index(
        "outbox_wake",
        text("(event #>> '{payload,session}')"),
        where="event ->> 'event' = 'specimen.session.wake'",
    ),
)

history = table(
    "history",
    numbered(),
    now("at"),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),  # job.state, asset.attention, pipeline.definition, …
    Column("session_id", Uuid),
    Column("asset_guid", Text),
    Column("job_id", BigInteger),
    Column("attempt_id", BigInteger),
    Column("old", Text),
    Column("new", Text),
    Column("why", Text, nullable=False, server_default=text("''")),
    index("history_asset", "asset_guid", "id"),
    index("history_job", "job_id", "id"),
    index("history_alarm", "what", "id", where="what LIKE 'alarm.%'"),
    index("history_fault", "what", "actor", "at", where="what IN ('site.node', 'site.fault')"),
)
