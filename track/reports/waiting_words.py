"""What a person reads of a job that does not move: one short word, and one sentence.

A sentence says what is waited for and, where a person can help, what to do. It names no time
that passes: it stays the same until something changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from track.jobs.room import Room
from track.jobs.site_load import Load


class Kind(StrEnum):
    """What a job waits for, in one word."""

    UPSTREAM = "upstream"  # an earlier stage, or a neighbour's
    ATTENTION = "attention"  # a person looks at its specimen
    SWITCH = "switch"  # its pipeline or stage is off
    SITE = "site"  # no site takes it
    BACKOFF = "backoff"  # its time: something went wrong and is tried again
    ROOM = "room"  # the throttle of its pipeline
    DISPATCHER = "dispatcher"  # nobody is at its session
    TURN = "turn"  # nothing: it is taken in its turn
    WORK = "work"  # a dispatcher is at it
    QUEUE = "queue"  # a site has it, and has not begun
    RUNNING = "running"  # a site runs it
    OVERDUE = "overdue"  # a site should have been heard of
    CANCEL = "cancel"  # a site was asked to stop it
    OUTPUTS = "outputs"  # its files are to be brought from its site
    PERSON = "person"  # somebody decides


@dataclass(frozen=True)
class Waits:
    """One job and why it does not move; `since` it is in its state, `until` when that is known."""

    job_id: int
    guid: str
    session_id: UUID
    pipeline: str
    stage: str
    state: str
    kind: Kind
    reason: str
    since: datetime
    until: datetime | None = None

    @property
    def moves(self) -> bool:
        """Whether all is as it should be: somebody is at it, or takes it next."""
        return self.kind in (Kind.WORK, Kind.TURN, Kind.RUNNING)


@dataclass(frozen=True)
class Full:
    """A pipeline whose throttle lets no more in; `held` of those inside need a person."""

    pipeline: str
    room: Room
    held: int


Explanation = tuple[Kind, str]


def explained(row: Row[Any], full: Full | None, load: Load | None) -> Waits:
    """Why a job stands, from a row of `waiting.FACTS`, the throttle that holds it and,
    of one that a site has not been sent yet, what that site has of ours."""
    match row.state:
        case "waiting" | "absent":
            kind, reason = _upstream(row)
        case "ready":
            kind, reason = _ready(row, full)
        case "claimed":
            kind, reason = _in_hand(row, "works at it")
        case "queued" | "running":
            kind, reason = _at_site(row, load)
        case "returned":
            kind, reason = _returned(row)
        case _:
            why = row.reason or "nothing was said"
            kind = Kind.PERSON
            reason = f"{why}; a person decides: operate/resubmit or operate/skip"
    until = row.available_at if kind is Kind.BACKOFF else None
    return Waits(
        row.id, row.guid, row.session_id, row.pipeline, row.stage, row.state,
        kind, reason, row.since, until,
    )  # fmt: skip


def _upstream(row: Row[Any]) -> Explanation:
    parts = [part for edge in row.upstream or () if (part := _edge(row, edge))]
    if row.state == "absent":
        return Kind.UPSTREAM, "its neighbour does not exist (yet): " + ("; ".join(parts) or "none")
    return Kind.UPSTREAM, "; ".join(parts) or "waits for its edges to be looked at again"


def _edge(row: Row[Any], edge: Mapping[str, Any]) -> str:
    """What one edge waits for; empty when it holds."""
    stage, others = edge["stage"], edge["others"] or []
    if edge["selector"] == "children":
        wanted = edge["declared"]
        if wanted is None:
            return f"waits until it is known how many children it has, each to pass {stage}"
        if edge["good"] >= wanted:
            return ""
        waits = f"waits for {stage} of {wanted - edge['good']} of {wanted} children"
        stopped = [each for each in others if each["state"] in ("failed", "cancelled")]
        return waits + (f"; {_state(stopped)}" if stopped else "")
    if edge["good"]:
        return ""
    if not others:
        return f"waits for {stage} of a neighbour that does not exist"
    first = others[0]
    if first["guid"] == row.guid:
        return f"waits for {stage} of itself, which {_is(first['state'])}"
    whose = "its parent" if edge["selector"] == "parent" else "its neighbour"
    return f"waits for {stage} of {whose} {first['guid']}, which {_is(first['state'])}"


def _state(jobs: Sequence[Mapping[str, str]]) -> str:
    named = ", ".join(f"{each['guid']} {each['state']}" for each in jobs[:3])
    return named + (f" and {len(jobs) - 3} more" if len(jobs) > 3 else "")


def _is(state: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled"}.get(state, f"is {state}")


def _ready(row: Row[Any], full: Full | None) -> Explanation:
    """The first of what holds a ready job, in the order in which a claim asks."""
    if note := row.attention or row.parents_attention:
        guid = row.guid if row.attention else row.parent_guid
        whose = "" if row.attention else f" (its parent {guid})"
        return Kind.ATTENTION, f"needs a person{whose}: {note}; operate/attention {guid} ends it"
    if not (row.pipeline_on and row.stage_on):
        pipeline, stage = f"pipeline {row.pipeline}", f"stage {row.stage} of {row.pipeline}"
        off = stage if row.pipeline_on else pipeline
        return Kind.SWITCH, f"{off} is switched off; operate/switch it on"
    if row.without_site:
        return Kind.SITE, _no_site(row)
    if row.later:
        return Kind.BACKOFF, f"is tried again later: {row.reason or 'it was put off'}"
    if full is not None:
        return Kind.ROOM, _no_room(row, full)
    if not row.dispatcher:
        asked = "one is asked for" if row.asked_at else "reconcile asks for one within minutes"
        return (
            Kind.DISPATCHER,
            f"no dispatcher is at its session, {asked}; if it stays so: are the workers up, and "
            "are their places taken (refinery doctor)?",
        )
    return Kind.TURN, "is taken in its turn"


def _no_site(row: Row[Any]) -> str:
    sites = row.sites or []
    if not sites:
        return f"no site may take it: the sites that stage {row.stage} names do not exist"
    return "no open site may take it: " + "; ".join(_why_not(row, each) for each in sites)


def _why_not(row: Row[Any], site: Mapping[str, Any]) -> str:
    name = site["site"]
    if not site["open"]:
        return f"{name} is switched off"
    if site["degraded"]:
        return f"{name} is degraded: {site['degraded']}"
    if site["lacks"]:
        return f"{name} cannot run module {row.run}: {site['lacks']}"
    if row.run == "upload" and not site["takes"]:
        return f"{name} does not have its file"
    if site["seen_at"] is None:
        return f"{name} was never heard of: does anything drive it?"
    heard = datetime.fromisoformat(site["seen_at"])
    return f"{name} does not take it; its driver was last heard of at {heard:%Y-%m-%d %H:%M %Z}"


BOUNDS = {
    "assets_in_flight": ("assets", "specimens of {pipeline} are in flight"),
    "new_assets_mb": ("new_mb", "MB of new specimens of {pipeline} are in flight"),
    "derivatives_mb": ("derivatives_mb", "MB are reserved for derivatives of {pipeline}"),
    "open_shares_mb": ("shares_mb", "MB of shares of {pipeline} are open or reserved"),
    "synchronising": ("synchronising", "synchronisations of {pipeline} are under way"),
}
"""The bounds of a throttle: which figure of the room each one limits, and how it is worded."""


def _no_room(row: Row[Any], full: Full) -> str:
    rooms = ((full.pipeline, full.room), ("all pipelines", full.room.whole))
    bounds = [_bound(row, whose, room, name) for whose, room in rooms if room for name in BOUNDS]
    full_of = ", ".join(each for each in bounds if each)
    reason = f"waits for room: {full_of or f'the throttle of {full.pipeline} is full'}"
    if not full.held:
        return reason
    return (
        f"{reason}; {full.held} specimens inside need a person (attention, failed): see refinery "
        "why"
    )


def _bound(row: Row[Any], whose: str, room: Room, name: str) -> str:
    """One bound that this job would break, with its numbers; empty when it would not."""
    limit = getattr(room.throttle, name)
    if limit is None or not (row.synchronises if name == "synchronising" else row.enters):
        return ""
    own_share = room.loose.get(row.guid, 0)
    adds = {
        "assets_in_flight": 1,
        "synchronising": 1,
        "new_assets_mb": row.size_mb,
        "derivatives_mb": row.reserved_mb,
        "open_shares_mb": max(row.size_mb + row.reserved_mb, own_share),
    }[name]
    field, sentence = BOUNDS[name]
    now = getattr(room, field)
    if name == "open_shares_mb":
        now += sum(room.loose.values()) - own_share
    if now + adds <= limit:
        return ""
    more = f" and it needs {adds}" if name.endswith("_mb") else ""
    return f"{now} of {limit} {sentence.format(pipeline=whose)}{more}"


def _in_hand(row: Row[Any], does: str) -> Explanation:
    if row.dispatcher:
        return Kind.WORK, f"its session's dispatcher {does}"
    return Kind.DISPATCHER, "its dispatcher has ended; the next one, or reconcile, goes on with it"


def _at_site(row: Row[Any], load: Load | None) -> Explanation:
    site = row.site
    if row.cancelling:
        return Kind.CANCEL, f"{site} was asked to stop it and has not said that it ended"
    trouble = _trouble(row)
    if row.overdue:
        does = "runs at" if row.state == "running" else "waits at"
        because = f": {row.reason}" if row.reason and row.state == "queued" else ""
        there = f"there for {row.external_id}" if row.external_id else "there"
        return (
            Kind.OVERDUE,
            f"{does} {site} longer than was expected{because}{trouble}; look {there}, then "
            "operate/cancel or operate/lost",
        )
    if row.state == "running":
        return Kind.RUNNING, f"runs at {site}{trouble}"
    return Kind.QUEUE, _queued(row, load) + trouble


def _trouble(row: Row[Any]) -> str:
    if row.site_degraded:
        return f"; {row.site} is degraded: {row.site_degraded}"
    return "" if row.site_open else f"; {row.site} is switched off: operate/site moves its queue"


def _queued(row: Row[Any], load: Load | None) -> str:
    site, because = row.site, f": {row.reason}" if row.reason else ""
    if row.batch_id is None:
        limits = row.site_def or {}
        places = limits.get("capacity", 1000)
        pending = limits.get("max_queued")
        if load is not None and load.sent >= places:
            return f"waits for room at {site}: {load.sent} of {places} jobs are there{because}"
        if load is not None and pending is not None and load.waiting >= pending:
            return f"waits for room at {site}: {load.waiting} of {pending} are pending{because}"
        return f"waits to be sent to {site}{because}"
    if row.batch_state == "intended":
        return f"is being sent to {site} as {row.batch_key}; not confirmed yet{because}"
    return f"waits in the queue of {site} as {row.external_id or row.batch_key}{because}"


def _returned(row: Row[Any]) -> Explanation:
    if row.awaited:
        return Kind.OUTPUTS, f"its files are to be brought from {row.site}{_trouble(row)}"
    if row.reason and row.dispatcher:
        return Kind.WORK, f"its last steps are done: {row.reason}"
    return _in_hand(row, "does its last steps (metadata to the archive)")
