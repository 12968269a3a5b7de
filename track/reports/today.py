"""A museum's day in numbers: what came, is under way, was archived, and waits for a person.

Nothing of it grows with all that was ever done: what came is kept by the hour, what is under way
and what stopped have indexes of their own.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.reports import days
from track.reports.by_hour import Arrivals, arrivals
from track.reports.health import SystemPart, parts

DAYS = 14
"""Of so many days the throughput is shown, today's included."""

MOST = 20_000
"""So many stopped jobs are looked at: whoever leaves more undecided is told so."""

# The condition is that of the index asset_under_way. One that failed is on it no more.
ON_THE_ROAD = """
    track.asset a WHERE a.parent_guid IS NULL AND a.finalised_at IS NULL
    AND a.released_at IS NULL AND a.quarantine IS NULL
"""
UNDER_WAY = text(f"SELECT count(*) FROM {ON_THE_ROAD}")
OLDEST = text(f"""
    (SELECT a.guid, a.session_id, a.created_at AS since, false AS with_person
     FROM {ON_THE_ROAD} ORDER BY a.created_at LIMIT 1)
    UNION ALL
    (SELECT a.guid, a.session_id, a.created_at, true
     FROM (SELECT DISTINCT asset_guid FROM (
               SELECT asset_guid FROM track.job WHERE state IN ('failed', 'cancelled')
               LIMIT :most) j) stopped
     CROSS JOIN LATERAL (SELECT * FROM track.asset WHERE guid = stopped.asset_guid OFFSET 0) a
     WHERE a.parent_guid IS NULL AND a.finalised_at IS NULL ORDER BY a.created_at LIMIT 1)
    ORDER BY since LIMIT 1
""")

# OFFSET 0 keeps it to the assets of these jobs, whatever the planner makes of their number.
WITH_A_PERSON = text("""
    WITH stopped AS MATERIALIZED (
        SELECT j.asset_guid, j.state FROM track.job j
        WHERE j.state IN ('failed', 'cancelled') LIMIT :most
    ), each AS (
        SELECT asset_guid, bool_or(state = 'failed') AS failed, count(*) AS jobs
        FROM stopped GROUP BY asset_guid
    )
    SELECT CASE WHEN a.quarantined THEN 'quarantined' WHEN each.failed THEN 'failed'
                ELSE 'cancelled' END AS kind, count(*) AS assets, sum(each.jobs) AS jobs
    FROM each
    CROSS JOIN LATERAL (SELECT quarantine IS NOT NULL AS quarantined FROM track.asset
                         WHERE guid = each.asset_guid OFFSET 0) a
    GROUP BY 1
    UNION ALL
    SELECT 'attention', count(*), 0 FROM track.asset
    WHERE (quarantine IS NOT NULL OR attention IS NOT NULL) AND attention IS NOT NULL
    HAVING count(*) > 0
""")


@dataclass(frozen=True)
class OldestImage:
    """The image that is not archived for the longest, since when, and whether a person is asked."""

    guid: str
    session_id: UUID
    since: datetime
    with_person: bool


@dataclass(frozen=True)
class WithPersons:
    """Assets that go no further until a person decides: quarantined, failed, cancelled, or held
    by an attention.

    `more`: there are more stopped jobs than were looked at, and the counts are the least.
    """

    assets: Mapping[str, int]
    more: bool

    @property
    def in_all(self) -> int:
        """All kinds together; one that failed and is held counts twice."""
        return sum(self.assets.values())


@dataclass(frozen=True)
class DayInNumbers:
    """What a page shows of a day; `throughput` has the last days, the oldest first."""

    day: date
    came: Arrivals
    under_way: int
    persons: WithPersons
    oldest: OldestImage | None
    throughput: Sequence[tuple[date, Arrivals]]
    parts: Sequence[SystemPart]


async def read_today(tx: AsyncConnection) -> DayInNumbers:
    """The day it is in the museum, with the two weeks before it."""
    day = days.today()
    throughput = await read_throughput(tx, day)
    found = (await tx.execute(OLDEST, {"most": MOST})).one_or_none()
    return DayInNumbers(
        day=day,
        came=throughput[-1][1],
        under_way=(await tx.execute(UNDER_WAY)).scalar_one(),
        persons=await read_persons(tx),
        oldest=OldestImage(**found._mapping) if found is not None else None,
        throughput=throughput,
        parts=await parts(tx),
    )


async def read_throughput(tx: AsyncConnection, last: date) -> list[tuple[date, Arrivals]]:
    """What came and was archived on each of DAYS days, the last one being `last`."""
    first = last - timedelta(days=DAYS - 1)
    found: dict[date, Arrivals] = defaultdict(Arrivals)
    for hour, counts in (await arrivals(tx, days.days(first, last))).items():
        found[days.date_of(hour)] += counts
    return [(day, found[day]) for day in (first + timedelta(days=n) for n in range(DAYS))]


async def read_persons(tx: AsyncConnection) -> WithPersons:
    """How many assets wait for a person, by kind."""
    rows = (await tx.execute(WITH_A_PERSON, {"most": MOST})).all()
    return WithPersons(
        {row.kind: row.assets for row in rows}, more=sum(row.jobs for row in rows) >= MOST
    )
