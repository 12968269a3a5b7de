"""The list of sessions, the newest first, and what of each one's specimens people ask about.

A page reads the sessions it shows and no more of each one's assets than `COUNTED`. What only a
look at a session's assets can tell (its collection, whether it needs a person) is looked for
among `SCANNED` sessions at a time; the page then says from where to look further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PAGE = 50
SCANNED = 2_000
COUNTED = 1_000
"""Assets of one session that are counted for the list; of a larger one it says "more than"."""
LAST = UUID(int=2**128 - 1)


class SessionState(StrEnum):
    """Where a session is, or what of it people look for."""

    READ = "being read"
    UNDER_WAY = "under way"
    WAITS = "waits"
    FINISHED = "finished"
    PERSON = "needs a person"
    QUARANTINED = "quarantined"


S = SessionState

LIVES = """
    EXISTS (SELECT FROM track.dispatcher d
             WHERE d.session_id = s.id AND d.ended_at IS NULL AND d.alive_until > now())
"""
STATE = f"""
    CASE WHEN s.finished_at IS NOT NULL THEN '{S.FINISHED}'
         WHEN s.registered_at IS NULL THEN '{S.READ}'
         WHEN s.wake_requested_at IS NOT NULL OR {LIVES} THEN '{S.UNDER_WAY}'
         ELSE '{S.WAITS}' END
"""
"""Of session `s`, one word."""

QUARANTINED = "a.quarantine IS NOT NULL"
HELD = "(a.quarantine IS NOT NULL OR a.attention IS NOT NULL)"
STOPPED = "j.state IN ('failed', 'cancelled')"
"""The conditions of the indexes asset_person and job_stopped_session."""

_SOME_HELD = f"EXISTS (SELECT FROM track.asset a WHERE a.session_id = s.id AND {HELD}"
HAS_QUARANTINED = f"{_SOME_HELD} AND {QUARANTINED})"
NEEDS_PERSON = (
    f"({_SOME_HELD}) OR EXISTS (SELECT FROM track.job j WHERE j.session_id = s.id AND {STOPPED}))"
)
# A specimen that was quarantined has no document, so the first that has one is looked for.
KNOWN_OF = """
    SELECT d.body ->> 'collection' AS collection, d.body ->> 'digitiser' AS digitiser
    FROM (SELECT guid FROM track.asset WHERE session_id = s.id ORDER BY guid LIMIT 20) few
    JOIN metadata.document d ON d.asset_guid = few.guid
    ORDER BY few.guid LIMIT 1
"""

LIST = text(f"""
    SELECT s.id, s.path, s.opened_as, s.workstation, s.opened_at, s.finished_at, s.state,
           k.collection, k.digitiser, n.assets, n.finalised, w.with_person
    FROM (
        SELECT s.*, {STATE} AS state
        FROM track.session s
        WHERE (s.opened_at, s.id) < (CAST(CAST(:before AS text) AS timestamptz), :before_id)
          AND s.opened_at >= CAST(CAST(:since AS text) AS timestamptz)
          AND s.opened_at < CAST(CAST(:until AS text) AS timestamptz)
          AND (CAST(:workstation AS text) IS NULL OR s.workstation = :workstation)
        ORDER BY s.opened_at DESC, s.id DESC LIMIT {SCANNED}
    ) s
    LEFT JOIN LATERAL ({KNOWN_OF}) k ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS assets, count(finalised_at) AS finalised
        FROM (SELECT a.finalised_at FROM track.asset a WHERE a.session_id = s.id
               LIMIT {COUNTED + 1}) few
    ) n
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT guid) AS with_person
        FROM ((SELECT a.guid FROM track.asset a WHERE a.session_id = s.id AND {HELD}
                LIMIT {COUNTED + 1})
              UNION ALL
              (SELECT j.asset_guid FROM track.job j WHERE j.session_id = s.id AND {STOPPED}
                LIMIT {COUNTED + 1})) few
    ) w
    WHERE (CAST(:collection AS text) IS NULL OR lower(k.collection) = lower(:collection))
      AND (CAST(:state AS text) IS NULL OR s.state = :state
           OR :state = '{S.PERSON}' AND ({NEEDS_PERSON})
           OR :state = '{S.QUARANTINED}' AND {HAS_QUARANTINED})
    ORDER BY s.opened_at DESC, s.id DESC LIMIT {PAGE + 1}
""")

# The last of those that were looked at, where they were not all there are.
SCANNED_TO = text(f"""
    SELECT s.opened_at, s.id
    FROM track.session s
    WHERE (s.opened_at, s.id) < (CAST(CAST(:before AS text) AS timestamptz), :before_id)
      AND s.opened_at >= CAST(CAST(:since AS text) AS timestamptz)
      AND s.opened_at < CAST(CAST(:until AS text) AS timestamptz)
      AND (CAST(:workstation AS text) IS NULL OR s.workstation = :workstation)
    ORDER BY s.opened_at DESC, s.id DESC OFFSET {SCANNED - 1} LIMIT 1
""")

WORKSTATIONS = text("""
    SELECT DISTINCT workstation
    FROM (SELECT workstation FROM track.session ORDER BY opened_at DESC LIMIT 5000) newest
    ORDER BY workstation
""")


@dataclass(frozen=True)
class Place:
    """Where a page of the list ends: the next one begins behind it."""

    opened_at: datetime
    id: UUID


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions are meant: those that fit everything that is given.

    `since` and `until` bound when a session was opened, the second not included. The
    collection is that of the first specimen whose metadata is known, whatever its capitals.
    """

    workstation: str | None = None
    collection: str | None = None
    state: SessionState | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class SessionLine:
    """One session of the list. Numbers above `COUNTED` mean "more than `COUNTED`"."""

    id: UUID
    path: str
    opened_as: str
    workstation: str
    opened_at: datetime
    finished_at: datetime | None
    state: str
    collection: str | None
    digitiser: str | None
    assets: int
    finalised: int
    with_person: int

    @property
    def folder(self) -> str:
        """Its folder's name as it was dropped, which is how people know it."""
        return self.opened_as.rstrip("/").rpartition("/")[2]

    @property
    def is_large(self) -> bool:
        """Whether its assets were not all counted."""
        return self.assets > COUNTED


@dataclass(frozen=True)
class SessionList:
    """A page of the list. `after`: from where on there may be more; None at the end.

    `is_cut`: the search ended before the page was full, since it had looked at `SCANNED`.
    """

    lines: Sequence[SessionLine]
    after: Place | None
    is_cut: bool


async def list_sessions(
    tx: AsyncConnection, wanted: SessionFilter, before: Place | None = None
) -> SessionList:
    """The newest sessions that fit, behind `before`."""
    given = {
        "before": "infinity" if before is None else before.opened_at.isoformat(),
        "before_id": LAST if before is None else before.id,
        "since": "-infinity" if wanted.since is None else wanted.since.isoformat(),
        "until": "infinity" if wanted.until is None else wanted.until.isoformat(),
        "workstation": wanted.workstation,
    }
    asked = given | {"collection": wanted.collection, "state": wanted.state}
    found = [SessionLine(**row._mapping) for row in await tx.execute(LIST, asked)]
    lines = found[:PAGE]
    if len(found) > PAGE:
        return SessionList(lines, Place(lines[-1].opened_at, lines[-1].id), is_cut=False)
    last = (await tx.execute(SCANNED_TO, given)).one_or_none()
    return SessionList(lines, None if last is None else Place(*last), is_cut=last is not None)


async def known_workstations(tx: AsyncConnection) -> Sequence[str]:
    """The names of workstations that opened a session lately, in their order."""
    return list((await tx.execute(WORKSTATIONS)).scalars())
