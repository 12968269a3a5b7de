"""What became of a session, a day or a month: received, archived, processed, and what waits.

A day or a month is summed up from the counts of its hours; what of it is still under way or with
a person is read from the indexes of what moves and what stopped. A session's own assets are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.reports.by_hour import Arrivals, StageUsage, arrivals, as_usage, usage
from track.reports.days import Span, read_span
from track.reports.today import ON_THE_ROAD
from track.schema.hours import usage_of

REMEDY = "say a session's id, a day as 2026-11-28 or a month as 2026-11"

_STOPPED = "SELECT asset_guid AS guid FROM track.job WHERE state IN ('failed', 'cancelled')"
_ASIDE = """
    SELECT guid FROM track.asset
    WHERE (quarantine IS NOT NULL OR attention IS NOT NULL) AND attention IS NOT NULL
"""
# OFFSET 0 keeps it to these assets: joined as a whole, all that came in a month are read.
WITH_PERSONS = text(f"""
    SELECT count(*)
    FROM ({_STOPPED} UNION {_ASIDE}) each
    CROSS JOIN LATERAL (SELECT parent_guid, created_at FROM track.asset
                         WHERE guid = each.guid OFFSET 0) a
    WHERE a.parent_guid IS NULL AND a.created_at >= :begins AND a.created_at < :ends
""")
WAITING = text(
    f"SELECT count(*) FROM {ON_THE_ROAD} AND a.created_at >= :begins AND a.created_at < :ends"
)

OF_SESSION = text("""
    SELECT count(*) FILTER (WHERE a.parent_guid IS NULL) AS images,
           count(a.parent_guid) AS derivatives,
           count(a.finalised_at) FILTER (WHERE a.parent_guid IS NULL) AS archived,
           count(a.finalised_at) FILTER (WHERE a.parent_guid IS NOT NULL) AS archived_derivatives,
           count(*) FILTER (WHERE a.parent_guid IS NULL AND a.finalised_at IS NULL
                            AND a.released_at IS NULL AND a.quarantine IS NULL) AS waiting,
           count(*) FILTER (WHERE a.parent_guid IS NULL
                            AND (a.attention IS NOT NULL OR f.stopped)) AS persons
    FROM track.asset a
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT 1 FROM track.job j WHERE j.asset_guid = a.guid
                        AND j.state IN ('failed', 'cancelled') OFFSET 0) AS stopped
    ) f
    WHERE a.session_id = :session
""")
USAGE_OF_SESSION = text(f"""
    SELECT s.id AS stage_id, p.name AS pipeline, s.key AS stage, {usage_of("t")}
    FROM track.asset a
    CROSS JOIN LATERAL (SELECT id, stage_id FROM track.job WHERE asset_guid = a.guid OFFSET 0) j
    CROSS JOIN LATERAL (SELECT * FROM track.attempt WHERE job_id = j.id OFFSET 0) t
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE a.session_id = :session AND t.seconds IS NOT NULL
    GROUP BY s.id, p.name ORDER BY p.name, s.position, s.id
""")
SESSION = text("""
    SELECT workstation, path, opened_at, finished_at FROM track.session WHERE id = :session
""")


class NoSuchPeriod(LookupError):
    """No session has that id."""


@dataclass(frozen=True)
class PeriodReport:
    """What became of what came in a session or in a span of time.

    `received` and what was archived count what happened in the span; of a session, what became
    of its own. `waiting`: images of it that are on their road now; `persons`: those that go no
    further, or are held, until a person decides. `stages`: what was processed at sites, and what
    it took.
    """

    name: str
    about: str
    begins: datetime
    ends: datetime | None
    received: Arrivals
    waiting: int
    persons: int
    stages: Sequence[StageUsage]

    @property
    def processed(self) -> int:
        """Attempts at sites that told what they took."""
        return sum(each.seconds.n for each in self.stages)


async def read_report(tx: AsyncConnection, what: str) -> PeriodReport:
    """The report of a session by its id, or of a day or a month.

    Raises ValueError for what is none of them, NoSuchPeriod for a session that does not exist.
    """
    span = read_span(what)
    if span is not None:
        return await _of_span(tx, what, span)
    try:
        session_id = UUID(what)
    except ValueError:
        raise ValueError(f"'{what}' is neither a session nor a day nor a month: {REMEDY}") from None
    return await _of_session(tx, session_id)


async def _of_span(tx: AsyncConnection, name: str, span: Span) -> PeriodReport:
    given = {"begins": span.begins, "ends": span.ends}
    return PeriodReport(
        name=name,
        about="a day" if len(name) == len("2026-11-28") else "a month",
        begins=span.begins,
        ends=span.ends,
        received=sum((await arrivals(tx, span)).values(), Arrivals()),
        waiting=(await tx.execute(WAITING, given)).scalar_one(),
        persons=(await tx.execute(WITH_PERSONS, given)).scalar_one(),
        stages=await usage(tx, span),
    )


async def _of_session(tx: AsyncConnection, session_id: UUID) -> PeriodReport:
    given = {"session": session_id}
    session = (await tx.execute(SESSION, given)).one_or_none()
    if session is None:
        raise NoSuchPeriod(f"there is no session {session_id}: refinery find, or the page Sessions")
    row = (await tx.execute(OF_SESSION, given)).one()
    stages = [as_usage(each) for each in await tx.execute(USAGE_OF_SESSION, given)]
    return PeriodReport(
        name=str(session_id),
        about=f"the session {session.path.rpartition('/')[2]} of {session.workstation}",
        begins=session.opened_at,
        ends=session.finished_at,
        received=Arrivals(1, row.images, row.derivatives, row.archived, row.archived_derivatives),
        waiting=row.waiting,
        persons=row.persons,
        stages=stages,
    )


@dataclass(frozen=True)
class ReportLine:
    """One figure of a report; of a stage where one is named, else of the whole."""

    figure: str
    value: float | int | str
    pipeline: str = ""
    stage: str = ""


def report_lines(of: PeriodReport) -> list[ReportLine]:
    """A report as lines of one figure each, as tables, CSV and JSON have it.

    Figures of time are seconds, those of memory MB.
    """
    counts = of.received
    whole: dict[str, float | int | str] = {
        "report": of.name,
        "begins": of.begins.isoformat(),
        "ends": of.ends.isoformat() if of.ends else "",
        "sessions received": counts.sessions,
        "images received": counts.images,
        "derivatives made": counts.derivatives,
        "images archived": counts.archived,
        "derivatives archived": counts.archived_derivatives,
        "attempts processed": of.processed,
        "images waiting": of.waiting,
        "images that need a person": of.persons,
    }
    lines = [ReportLine(figure, value) for figure, value in whole.items()]
    for each in of.stages:
        lines += [
            ReportLine(figure, value, each.pipeline, each.stage)
            for figure, value in _of_stage(each).items()
            if value is not None
        ]
    return lines


def _of_stage(each: StageUsage) -> dict[str, float | int | None]:
    return {
        "attempts": each.seconds.n,
        "seconds in all": round(each.seconds.sum, 3),
        "seconds, mean": each.seconds.mean,
        "seconds, least": each.seconds.least,
        "seconds, most": each.seconds.most,
        "processor seconds, mean": each.cpu_s.mean,
        "memory MB, most": each.mb.most,
        "seconds in the queue, mean": each.wait_s.mean,
    }
