"""What needs a person, grouped by its cause, the most frequent first.

Read is only what stands: jobs that stopped, assets in quarantine or held, and the warnings of the
last days. Each is a partial index that grows with what people leave undecided, and `MOST` of each
are looked at, the newest.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from track.jobs.outputs import OUTPUTS_WAIT, OUTSTANDING
from track.reports.causes import cause_of, title_of
from track.reports.overdue import IS_OVERDUE, JOB_AND_ATTEMPT, SINCE
from track.reports.sessions import HELD

MOST = 10_000
"""Of each kind that are read; the page says so when there are more."""
WARNED_DAYS = 14
SAMPLES = 6


class NeedKind(StrEnum):
    """Why a person is needed, in one word."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    HELD = "attention"
    OVERDUE = "overdue"
    OUTPUTS = "outputs"
    WARNING = "warning"


# A quarantined asset's jobs stopped with it, and are told of once.
STOPPED = text("""
    SELECT j.asset_guid AS guid, a.file_name, j.session_id, se.opened_as,
           p.name AS pipeline, s.key AS stage,
           j.state AS need, coalesce(j.reason, '') AS reason, j.updated_at AS since
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session se ON se.id = j.session_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE j.state IN ('failed', 'cancelled') AND a.quarantine IS NULL
    ORDER BY j.updated_at DESC LIMIT CAST(:most AS bigint)
""")

# What a resubmit of a stage takes along: also of assets in quarantine.
FAILED_AT = text("""
    SELECT p.name AS pipeline, s.key AS stage, count(*) AS jobs
    FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id AND s.archived_at IS NULL
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE j.state IN ('failed', 'cancelled') AND j.state = 'failed'
    GROUP BY p.name, s.key
""")

# Since when: a quarantined asset's first stage failed with it. A note's time is in the history,
# of which an asset that is held adds little.
ASIDE = text(f"""
    SELECT a.guid, a.file_name, a.session_id, se.opened_as, p.name AS pipeline,
           a.quarantine, a.attention,
           coalesce(CASE WHEN a.quarantine IS NULL THEN h.at ELSE f.at END, a.created_at) AS since
    FROM (SELECT * FROM track.asset a WHERE {HELD} LIMIT CAST(:most AS bigint)) a
    JOIN track.session se ON se.id = a.session_id
    JOIN track.pipeline p ON p.id = a.pipeline_id
    LEFT JOIN LATERAL (
        SELECT max(j.updated_at) AS at FROM track.job j
        WHERE j.asset_guid = a.guid AND j.state = 'failed'
    ) f ON a.quarantine IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT at FROM track.history
        WHERE asset_guid = a.guid AND what = 'asset.attention' ORDER BY id DESC LIMIT 1
    ) h ON a.quarantine IS NULL
""")

LATE = text(f"""
    SELECT j.asset_guid AS guid, a.file_name, j.session_id, se.opened_as,
           p.name AS pipeline, s.key AS stage,
           'overdue' AS need, {SINCE} AS since,
           CASE WHEN j.state = 'running' THEN 'it runs' ELSE 'it waits in the queue' END
           || ' at ' || t.site || ' for longer than was expected' || coalesce('; ' || j.reason, '')
           AS reason
    {JOB_AND_ATTEMPT}
    JOIN track.pipeline p ON p.id = s.pipeline_id
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session se ON se.id = j.session_id
    WHERE {IS_OVERDUE}
    LIMIT CAST(:most AS bigint)
""")

TROUBLED = f"(j.reason LIKE '{OUTPUTS_WAIT}%' OR NOT here.open OR here.degraded IS NOT NULL)"
"""Whether it is known what keeps the outputs of job `j` at site `here`."""

# The first condition is that of the index job_moving.
UNBROUGHT = text(f"""
    SELECT j.asset_guid AS guid, a.file_name, j.session_id, se.opened_as,
           p.name AS pipeline, s.key AS stage, 'outputs' AS need, t.closed_at AS since,
           'its outputs have yet to be brought from ' || t.site ||
           CASE WHEN j.reason LIKE '{OUTPUTS_WAIT}%' THEN '; ' || j.reason
                WHEN NOT here.open THEN ', which is switched off'
                WHEN here.degraded IS NOT NULL THEN ', which is degraded: ' || here.degraded
                ELSE ' though they were made a day ago' END AS reason
    FROM track.job j
    JOIN track.attempt t ON t.id = j.attempt_id AND {OUTSTANDING}
    JOIN track.site here ON here.name = t.site
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session se ON se.id = j.session_id
    WHERE j.state IN ('claimed', 'queued', 'running', 'returned') AND j.state = 'returned'
      AND t.closed_at < now() - CASE WHEN {TROUBLED} THEN interval '1 hour'
                                       ELSE interval '1 day' END
    LIMIT CAST(:most AS bigint)
""")

WARNED = text(f"""
    SELECT j.asset_guid AS guid, a.file_name, j.session_id, se.opened_as,
           p.name AS pipeline, s.key AS stage,
           'warning' AS need, j.warning AS reason, j.updated_at AS since
    FROM (SELECT * FROM track.job
           WHERE warning IS NOT NULL AND updated_at > now() - interval '{WARNED_DAYS} days'
           ORDER BY updated_at DESC LIMIT CAST(:most AS bigint)) j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session se ON se.id = j.session_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    ORDER BY j.updated_at DESC
""")


OF_JOBS = (STOPPED, LATE, UNBROUGHT, WARNED)


@dataclass(frozen=True)
class Needing:
    """One asset, or one stage of it, that needs a person."""

    guid: str
    file_name: str
    session_id: UUID
    opened_as: str
    pipeline: str
    stage: str
    need: NeedKind
    reason: str
    since: datetime

    @property
    def folder(self) -> str:
        """Its session's folder, by the name under which it was dropped."""
        return self.opened_as.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Cause:
    """Everything of one kind, stage and cause; `members` the longest standing first.

    `text` is the cause, its gaps where the reasons differ; `remedy` what quarantine says to do.
    """

    need: NeedKind
    pipeline: str
    stage: str
    text: str
    remedy: str
    members: Sequence[Needing]

    @property
    def title(self) -> str:
        """The cause as a heading."""
        return title_of(self.text) or "No reason was given"

    @property
    def key(self) -> str:
        """A name for its page: the same as long as it is the same cause."""
        parts = "\0".join((self.need, self.pipeline, self.stage, self.text))
        return sha256(parts.encode()).hexdigest()[:16]

    @property
    def assets(self) -> int:
        """How many assets there are of it."""
        return len({each.guid for each in self.members})

    @property
    def since(self) -> datetime:
        """Since when the first has stood."""
        return self.members[0].since

    @property
    def latest(self) -> datetime:
        """When the last came."""
        return self.members[-1].since

    @property
    def samples(self) -> Sequence[Needing]:
        """A few of them, the latest."""
        return self.members[: -SAMPLES - 1 : -1]

    @property
    def sessions(self) -> Sequence[UUID]:
        """The sessions that they are of."""
        return sorted({each.session_id for each in self.members})


@dataclass(frozen=True)
class NeedsPerson:
    """All causes, the most frequent first; `is_cut`: more stand than were read.

    `failed_at` counts all that failed by pipeline and stage, of whatever cause.
    """

    causes: Sequence[Cause]
    is_cut: bool
    failed_at: Mapping[tuple[str, str], int]

    def others(self, cause: Cause) -> int:
        """How many failed at a cause's stage of something else."""
        return max(self.failed_at.get((cause.pipeline, cause.stage), 0) - len(cause.members), 0)

    def named(self, key: str) -> Cause | None:
        """The cause whose page has this name, if it still stands."""
        return next((each for each in self.causes if each.key == key), None)


async def needs_person(tx: AsyncConnection, most: int = MOST) -> NeedsPerson:
    """What needs a person, by cause."""
    parts = [(await tx.execute(each, {"most": most})).all() for each in OF_JOBS]
    aside = (await tx.execute(ASIDE, {"most": most})).all()
    groups: dict[tuple[str, ...], list[Needing]] = defaultdict(list)
    for part in parts:
        for row in part:
            for each in _of_job(row):
                text = cause_of(each.reason, each.guid, each.file_name)
                groups[each.need, each.pipeline, each.stage, text, ""].append(each)
    for row in aside:
        found, text, remedy = _of_asset(row)
        groups[found.need, found.pipeline, "", text, remedy].append(found)
    is_cut = any(len(part) == most for part in (*parts, aside))
    failed = {(row.pipeline, row.stage): row.jobs for row in await tx.execute(FAILED_AT)}
    return NeedsPerson(_in_order(groups.items()), is_cut, failed)


def _of_job(row: Any) -> Iterator[Needing]:
    """A job that stopped is one; of one that was warned, each warning."""
    fields = dict(row._mapping) | {"need": NeedKind(row.need)}
    if row.need != NeedKind.WARNING:
        yield Needing(**fields)
        return
    for warning in filter(None, row.reason.split("; ")):
        yield Needing(**(fields | {"reason": warning}))


def _of_asset(row: Any) -> tuple[Needing, str, str]:
    """One that is aside, its cause and its remedy."""
    names = (row.guid, row.file_name)
    if row.quarantine is None:
        need, reason, remedy = NeedKind.HELD, row.attention, ""
        cause = cause_of(reason, *names)
    else:
        entry = QuarantineEntry(**row.quarantine)
        need, reason = NeedKind.QUARANTINED, str(entry)
        cause = cause_of(entry.problem, *names, entry.file)
        remedy = cause_of(entry.remedy, *names, entry.file)
    known = (row.guid, row.file_name, row.session_id, row.opened_as, row.pipeline)
    return Needing(*known, "", need, reason, row.since), cause, remedy


ORDER = {need: place for place, need in enumerate(NeedKind)}


def _in_order(groups: Iterable[tuple[tuple[str, ...], list[Needing]]]) -> list[Cause]:
    """The most frequent first; warnings last, since nothing stands still for them."""
    causes = [
        Cause(NeedKind(need), pipeline, stage, text, remedy,
              sorted(members, key=lambda each: (each.since, each.guid)))
        for (need, pipeline, stage, text, remedy), members in groups
    ]  # fmt: skip
    return sorted(
        causes,
        key=lambda each: (
            each.need == NeedKind.WARNING, -len(each.members), ORDER[each.need], each.text,
        ),
    )  # fmt: skip
