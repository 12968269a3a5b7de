"""Figures of the whole system, read from the database: also of processes that serve no HTTP."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from api.free_space import DiskRoom
from track.reports.system_counts import SystemCounts, system_counts

GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sessions": ("Sessions that are not over, by what they do; a parked one has work.", ("state",)),
    "needs_person": ("Assets that go no further until a person has decided.", ("kind",)),
    "jobs_overdue": ("Jobs that their site has had for longer than was expected.", ("site",)),
    "oldest_unarchived_seconds": (
        "Age of the oldest asset whose copies in the archive are not proven; 0: there is none.",
        (),
    ),
    "archive_up": ("Whether the archive answered when reconcile asked it last.", ()),
    "site_open": ("Whether a site is given work.", ("site", "kind")),
    "site_degraded": ("Whether a site takes no work because something is wrong there.", ("site",)),
    "site_driver_silent_seconds": (
        "Since a site's driver was last at work, or the system started.",
        ("site",),
    ),
    "prune_due": ("Temporary copies whose time is up.", ("kind",)),
    "prune_due_oldest_seconds": ("Since when the first of them could have gone.", ("kind",)),
    "alarm": (
        "Whether an alarm is on, as it was last announced; of what was ever heard of.",
        ("kind", "name"),
    ),
    "service_connected": (
        "Whether a service has a connection to the database; of those that ever had one.",
        ("service",),
    ),
    "service_silent_seconds": ("Since a connected service asked something.", ("service",)),
    "database_bytes": ("What our database takes on its disk.", ()),
    "storage_answers": (
        "Whether a place where files lie answers; a mount may hang.",
        ("place",),
    ),
    "storage_free_bytes": ("Room that is left where files lie.", ("place",)),
    "storage_bytes": ("Room that there is where files lie.", ("place",)),
}
"""Help and labels of `refinery_<name>`."""

Values = Iterable[tuple[tuple[str, ...], float]]


class SystemGauges:
    """The gauges in one registry, set anew for every page."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self._gauges = {
            name: gauge(f"refinery_{name}", about, labels)
            for name, (about, labels) in GAUGES.items()
        }

    async def read(self, tx: AsyncConnection, disks: Mapping[str, DiskRoom | None]) -> None:
        """Set them to how things stand now; a disk that is None does not answer."""
        counts = await system_counts(tx)
        found = of_counts(counts) | of_sites(counts.sites) | of_disks(disks)
        for name, gauge in self._gauges.items():
            if GAUGES[name][1]:
                gauge.clear()
            for labels, value in found[name]:
                (gauge.labels(*labels) if labels else gauge).set(value)


def of_counts(counts: SystemCounts) -> dict[str, Values]:
    """What each gauge shows of the system as a whole, by its labels."""
    archives = [on for (kind, _), on in counts.alarms.items() if kind == "archive"]
    services = counts.services.items()
    return {
        "sessions": [((state,), number) for state, number in counts.sessions.items()],
        "needs_person": [((kind,), number) for kind, number in counts.needs_person.items()],
        "jobs_overdue": [((site,), number) for site, number in counts.overdue.items()],
        "oldest_unarchived_seconds": [((), counts.unarchived_s)],
        "archive_up": [((), not any(archives))],
        "alarm": [(subject, on) for subject, on in counts.alarms.items()],
        "service_connected": [((name,), seconds is not None) for name, seconds in services],
        "service_silent_seconds": [((name,), s) for name, s in services if s is not None],
        "prune_due": [((row.kind,), row.copies) for row in counts.prune_due],
        "prune_due_oldest_seconds": [((row.kind,), row.oldest_s) for row in counts.prune_due],
        "database_bytes": [((), counts.database_bytes)],
    }


def of_sites(sites: Iterable[Any]) -> dict[str, Values]:
    """The same of the sites."""
    return {
        "site_open": [((row.site, row.kind), row.open) for row in sites],
        "site_degraded": [((row.site,), row.degraded) for row in sites],
        "site_driver_silent_seconds": [
            ((row.site,), max(0.0, row.driver_silent_s))
            for row in sites
            if row.driver_silent_s is not None
        ],
    }


def of_disks(disks: Mapping[str, DiskRoom | None]) -> dict[str, Values]:
    """The same of the places where files lie."""
    known = [((place,), disk) for place, disk in disks.items() if disk is not None]
    return {
        "storage_answers": [((place,), disk is not None) for place, disk in disks.items()],
        "storage_free_bytes": [(place, disk.free) for place, disk in known],
        "storage_bytes": [(place, disk.total) for place, disk in known],
    }
