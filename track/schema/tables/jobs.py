"""Jobs, the attempts at each, and the dispatchers that hold them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from track.schema.states import State
from track.schema.tables.columns import index, now, numbered, table, when

job = table(
    "job",
    numbered(),
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("reason", Text),
    Column("warning", Text),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("pauses", Integer, nullable=False, server_default=text("0")),  # in a row, without a try
    now("available_at"),
    Column("redo", Boolean, nullable=False, server_default=text("false")),
    Column("declared", Integer),  # how many children an emitting stage says it made
    Column("effects", JSONB, nullable=False, server_default=text("'{}'")),  # begun, confirmed
    Column("details", JSONB(none_as_null=True)),  # what it hands to later stages
    Column("dispatcher_id", Uuid),
    Column("attempt_id", BigInteger),
    now("updated_at"),
    # What a claim orders and filters by. Its asset's session and priority; those of an asset that
    # changes take its jobs along, and one that ended takes the priority when it waits again.
    Column("session_id", Uuid, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    # What a look met and could not take is left aside: held for a person or for its outputs, until
    # that ends or it moves, or bound to a site. See track/jobs/candidates.py and claims.py.
    Column("held", Boolean, nullable=False, server_default=text("false")),
    Column("bound_to", Text, nullable=False, server_default=text("''")),
    CheckConstraint(
        "state IN (" + ", ".join(f"'{state}'" for state in State) + ")", name="job_state"
    ),
    UniqueConstraint("asset_guid", "stage_id"),
    index("job_stage", "stage_id", "state"),
    index("job_ready", "available_at", where="state = 'ready'"),
    index(
        "job_moving",
        *("state", "session_id", "held", "updated_at", "id"),
        where="state IN ('claimed', 'queued', 'running', 'returned')",
    ),
    index(
        "job_claim",
        *("session_id", "stage_id", "bound_to", "priority", "available_at", "id"),
        where="state = 'ready' AND NOT held",
    ),
    index("job_open", "state", "updated_at", where="state NOT IN ('done', 'excluded')"),
    index("job_stopped", "updated_at", where="state IN ('failed', 'cancelled')"),
    index(
        "job_stopped_session",
        *("session_id", "asset_guid"),
        where="state IN ('failed', 'cancelled')",
    ),
    index("job_warned", "updated_at", where="warning IS NOT NULL"),
)

attempt = table(
    "attempt",
    numbered(),
    Column("job_id", ForeignKey("track.job.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("site", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    # What its site's queue is ordered by: its asset's priority, and where its stage then stood.
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("batch_id", BigInteger),
    Column("member", Integer),  # its line in the batch
    Column("agent_id", BigInteger),  # who took it, and holds it until then
    when("lease_until"),
    Column("external_id", Text),
    Column("started_by", Text),  # the native id the start was granted to
    Column("nonce", Text),
    now("queued_at"),
    *map(when, ("submitted_at", "started_at", "finished_at", "closed_at", "cancel_requested_at")),
    # done, failed, unserved (by its site), lost, declared, cancelled, superseded, released
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("seconds", Double),
    Column("cpu_s", Double),
    Column("max_rss_mb", Double),
    Column("message", Text),
    # Its outputs and whether they were brought, and the end of what was printed.
    Column("result", JSONB(none_as_null=True)),
    UniqueConstraint("job_id", "n"),
    index("attempt_open", "site", where="closed_at IS NULL"),
    index(
        "attempt_queue",
        *("site", text("priority DESC"), text("position DESC"), "id"),
        where="closed_at IS NULL AND batch_id IS NULL",
    ),
    index("attempt_batch", "batch_id"),
    index("attempt_held", "agent_id", where="closed_at IS NULL AND agent_id IS NOT NULL"),
)

dispatcher = table(
    "dispatcher",
    Column("id", Uuid, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("flow_run_id", Uuid),
    now("started_at"),
    Column("alive_until", DateTime(timezone=True), nullable=False),
    when("ended_at"),
    Column("ended_why", Text),
    index("dispatcher_live", "session_id", where="ended_at IS NULL"),
    index("dispatcher_ended", "ended_at", where="ended_at IS NOT NULL"),
    index("dispatcher_run", "flow_run_id"),
    index("dispatcher_session", "session_id", "started_at"),
)
