"""How each part of the system does, and since when: services, workers, sites, the archive, disks.

What has a connection of its own or a row that says when it was seen is judged by that, now; the
rest by what was announced of it last.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.sites import DRIVEN
from track.reports.agents import agents_seen
from track.reports.alarms import ON, UNCONNECTED, WORKER, services_heard

SILENT_S = 180.0
"""Every service asks the database something every few seconds."""

SAID = text("""
    WITH RECURSIVE subject AS (  -- from one to the next, however often each was announced
        (SELECT what FROM track.history WHERE what LIKE 'alarm.%' ORDER BY what LIMIT 1)
        UNION ALL
        SELECT (SELECT h.what FROM track.history h
                 WHERE h.what LIKE 'alarm.%' AND h.what > subject.what ORDER BY h.what LIMIT 1)
        FROM subject WHERE subject.what IS NOT NULL
    )
    SELECT split_part(subject.what, '.', 2) AS kind, last.new AS said, begun.at, last.why,
           substr(subject.what, length(split_part(subject.what, '.', 2)) + 8) AS name
    FROM subject
    CROSS JOIN LATERAL (SELECT h.new, h.why FROM track.history h
                         WHERE h.what LIKE 'alarm.%' AND h.what = subject.what
                         ORDER BY h.id DESC LIMIT 1) last
    -- A trouble that lasts may be told again: it began when it was told after it was well.
    LEFT JOIN LATERAL (SELECT h.at FROM track.history h
                        WHERE h.what LIKE 'alarm.%' AND h.what = subject.what
                          AND h.new = 'on' AND coalesce(h.old, 'off') = 'off'
                        ORDER BY h.id DESC LIMIT 1) begun ON last.new = 'on'
""")

SITES = text(f"""
    SELECT t.name, t.kind, t.open, t.degraded, t.degraded_at, t.seen_at, {DRIVEN} AS driven
    FROM track.site t ORDER BY t.rank
""")


class Condition(StrEnum):
    """How a part of the system does."""

    WELL = "well"
    DEGRADED = "degraded"
    SILENT = "silent"
    OFF = "off"


@dataclass(frozen=True)
class SystemPart:
    """A part of the system: what kind of thing, how it does, since when and why (or neither)."""

    kind: str  # service, worker, site, agent, archive, storage, stage
    name: str
    condition: Condition
    since: datetime | None = None
    why: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at it; what a person switched off is well too."""
        return self.condition in (Condition.WELL, Condition.OFF)


async def parts(tx: AsyncConnection) -> list[SystemPart]:
    """Every part that is known, services first; of stages and agents only what is in trouble."""
    said = (await tx.execute(SAID)).all()
    services = await _services(tx, {row.name: row for row in said if row.kind == "service"})
    sites = [_site(row) for row in await tx.execute(SITES)]
    others = [_announced(row) for row in said if row.kind in ("archive", "storage")]
    known = {"service", "site", "agent", "archive", "storage"}  # the rest, as stages, are many
    rest = [_announced(row) for row in said if row.kind not in known and row.said == ON]
    return [*services, *sites, *await _agents(tx), *others, *rest]


async def _services(tx: AsyncConnection, said: dict[str, Row[Any]]) -> list[SystemPart]:
    """Services by their connections, workers by what was announced of them."""
    heard = {each.name: each.silent_s for each in await services_heard(tx)}
    found = []
    for name in sorted(heard.keys() | said.keys()):
        row = said.get(name)
        if row is not None and (name.startswith(WORKER) or name in UNCONNECTED):
            found.append(_announced(row))
        elif name in heard and heard[name] < SILENT_S:
            found.append(SystemPart("service", name, Condition.WELL))
        else:
            found.append(_silent_service(name, heard.get(name), row))
    return found


def _minute(seconds_ago: float) -> datetime:
    """The minute of a moment so long ago: it is told of again and again, and stays the same."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return at.replace(second=0, microsecond=0)


def _silent_service(name: str, silent_s: float | None, said: Row[Any] | None) -> SystemPart:
    since: datetime | None
    if silent_s is not None:
        since = _minute(silent_s)
        return SystemPart("service", name, Condition.SILENT, since, "it has asked nothing since")
    since = said.at if said is not None and said.said == ON else None
    return SystemPart(
        "service", name, Condition.SILENT, since, "it has no connection to the database"
    )


async def _agents(tx: AsyncConnection) -> list[SystemPart]:
    found = []
    for each in await agents_seen(tx):
        name = f"{each.name} at {each.site}"
        if each.silent_s >= SILENT_S:
            since = _minute(each.silent_s)
            found.append(
                SystemPart("agent", name, Condition.SILENT, since, "it was not heard of since")
            )
        elif each.trouble:
            found.append(SystemPart("agent", name, Condition.DEGRADED, None, each.trouble))
    return found


def _site(row: Row[Any]) -> SystemPart:
    if not row.open:
        return SystemPart("site", row.name, Condition.OFF, None, "a person switched it off")
    if not row.driven:
        return SystemPart(
            "site", row.name, Condition.SILENT, row.seen_at, row.degraded or "nobody drives it"
        )
    if row.degraded is not None:
        return SystemPart("site", row.name, Condition.DEGRADED, row.degraded_at, row.degraded)
    return SystemPart("site", row.name, Condition.WELL)


TROUBLES = {"service": Condition.SILENT}
"""What an alarm of a kind means, where it is not that the thing is degraded."""


def _announced(row: Row[Any]) -> SystemPart:
    """A part as it was announced last; when it became well is of no interest."""
    kind = "worker" if row.name.startswith(WORKER) else row.kind
    name = row.name.removeprefix(WORKER)
    if row.said != ON:
        return SystemPart(kind, name, Condition.WELL)
    return SystemPart(kind, name, TROUBLES.get(row.kind, Condition.DEGRADED), row.at, row.why)
