"""Sites, the agents at them, and the batches that they were given."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from track.schema.tables.columns import index, now, numbered, table, when

site = table(
    "site",
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rank", Integer, nullable=False),  # the order of sites.yaml
    Column("definition", JSONB, nullable=False),
    Column("open", Boolean, nullable=False, server_default=text("true")),
    Column("degraded", Text),  # why, or null
    when("degraded_at"),  # since when, while it is
    # Modules that it cannot run: {run: {why, times, until}}, `until` when one job may try again.
    Column("lacks", JSONB, nullable=False, server_default=text("'{}'")),
    # Tokens with which agents may join it, by their digests: {uses, until}.
    Column("joins", JSONB, nullable=False, server_default=text("'{}'")),
    when("seen_at"),  # when its driver was last at work
    now("expected_at"),  # since when a driver should be at work: the last start of the system
    CheckConstraint("kind IN ('local', 'slurm', 'pull')", name="site_kind"),
)

agent = table(  # who takes work at a site that nobody drives: see docs/agents.md
    "agent",
    numbered(),
    Column("site", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("joined_by", Text, nullable=False),  # the join token it showed, by its id
    # Digests of its own tokens, the newest last: a second one while it changes them.
    Column("tokens", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("order", Text, nullable=False, server_default=text("'run'")),
    Column("rotate", Boolean, nullable=False, server_default=text("false")),  # it is to change them
    Column("capacity", JSONB, nullable=False),  # units by launcher
    Column("labels", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("prefixes", JSONB, nullable=False, server_default=text("'{}'")),  # of paths: ours, its
    Column("facts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("load", JSONB(none_as_null=True)),  # as it says; null before its first heartbeat
    Column("held", Integer),  # attempts and batches it said it has, the last time
    Column("version", Text, nullable=False, server_default=text("''")),
    now("joined_at"),
    when("seen_at"),
    when("gone_at"),
    Column("gone_why", Text),  # the evidence
    CheckConstraint("\"order\" IN ('run', 'drain', 'stop')", name="agent_order"),
    index("agent_present", "site", where="gone_at IS NULL"),
    index("agent_joined", "joined_by"),
)

batch = table(
    "batch",
    numbered(),
    Column("key", Text, nullable=False, unique=True),
    Column("site", Text, nullable=False),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("resources", JSONB, nullable=False, server_default=text("'{}'")),
    Column("members", ARRAY(BigInteger), nullable=False),  # attempts, in the manifest's order
    Column("state", Text, nullable=False, server_default=text("'intended'")),
    Column("external_id", Text),
    now("created_at"),
    when("submitted_at"),
    when("ended_at"),
    Column("agent_id", BigInteger),  # who took it, with which request
    Column("request_id", Text),
    CheckConstraint("state IN ('intended', 'submitted', 'refused', 'ended')", name="batch_state"),
    index("batch_open", "site", where="ended_at IS NULL"),
    index("batch_refused", "ended_at", "id", where="state = 'refused'"),
    index("batch_agent", "agent_id", where="ended_at IS NULL AND agent_id IS NOT NULL"),
)
