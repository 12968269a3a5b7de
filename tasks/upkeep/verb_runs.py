"""Runs of operators' verbs that are there already: whose they are, and whether one is wanted twice.

Two people who ask for the same thing at once get one run: what they ask for, and the newest run
that both of them saw, make one key, and Prefect makes one run for one key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from tasks.upkeep.verbs import FLOW, Verb, start_verb
from track.commands.selection import CannotDo

LOOKED_AT = 200
"""Runs of one answer; Prefect's server gives no more."""
WHO = ("by", "why")
"""What says who asks and for which reason, and not what is to be done."""
OPEN = (
    StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED,
    StateType.CANCELLING,
)  # fmt: skip


@dataclass(frozen=True)
class VerbRun:
    """A run of a verb: who asked for it, when, with what."""

    id: UUID
    verb: str
    by: str
    asked_at: datetime | None
    state: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """The run that does what was asked for; `is_mine`: whether who asked now asked for it."""

    run: VerbRun
    is_mine: bool


async def read_run(client: PrefectClient, run_id: UUID) -> VerbRun | None:
    """A run of a verb by its id; None when there is none, or it is of something else."""
    try:
        run = await client.read_flow_run(run_id)
        if run.deployment_id is None:
            return None
        deployment = await client.read_deployment(run.deployment_id)
        flow = await client.read_flow(deployment.flow_id)
    except ObjectNotFound:
        return None
    return _run(run, deployment.name) if flow.name == FLOW else None


async def ask_once(
    client: PrefectClient, verb: Verb, parameters: Mapping[str, Any], *, seen_at: datetime
) -> Asked:
    """Have a verb run, unless the same is under way or was asked for after `seen_at`.

    Asked twice, from one form or by two people, it makes one run. Raises CannotDo.
    """
    mine = str(parameters.get("by", ""))
    wanted = subject_of(verb, parameters)
    # Before the others are looked for: what is made from now on is found among them, or is made
    # with this same key.
    newest = await _newest(client, verb.name)
    for run in await _runs(client, verb.name, seen_at):
        if subject_of(verb, run.parameters) == wanted:
            return Asked(run, run.by == mine)
    key = f"{_digest(wanted)}/{newest or 'first'}"
    made = await start_verb(client, verb.name, parameters, key=key)
    run = _run(await client.read_flow_run(made), verb.name)
    return Asked(run, run.by == mine)


def subject_of(verb: Verb, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be done, whoever asks: what is given and is no default."""
    usual = {each.name: each.default for each in verb.parameters}
    return {
        name: value
        for name, value in sorted(parameters.items())
        if name not in WHO and value not in (None, "") and value != usual.get(name)
    }


async def _runs(client: PrefectClient, verb: str, since: datetime) -> list[VerbRun]:
    """Those that have not ended, and those that were asked for since; the newest first."""
    of_verb = await _deployment(client, verb)
    kinds = (
        FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(OPEN)))),
        FlowRunFilter(expected_start_time=FlowRunFilterExpectedStartTime(after_=since)),
    )
    found: dict[UUID, FlowRun] = {}
    for kind in kinds:
        runs = await client.read_flow_runs(
            deployment_filter=of_verb,
            flow_run_filter=kind,
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=LOOKED_AT,
        )
        found |= {run.id: run for run in runs}
    return [_run(run, verb) for run in found.values()]


async def _newest(client: PrefectClient, verb: str) -> UUID | None:
    runs = await client.read_flow_runs(
        deployment_filter=await _deployment(client, verb),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=1,
    )
    return runs[0].id if runs else None


async def _deployment(client: PrefectClient, verb: str) -> DeploymentFilter:
    try:
        found = await client.read_deployment_by_name(f"{FLOW}/{verb}")
    except ObjectNotFound:
        raise CannotDo(f"verb: no {verb!r} is deployed; 'refinery up' deploys all") from None
    return DeploymentFilter(id=DeploymentFilterId(any_=[found.id]))


def _run(run: FlowRun, verb: str) -> VerbRun:
    return VerbRun(
        id=run.id,
        verb=verb,
        by=str(run.parameters.get("by", "")),
        asked_at=run.created or run.expected_start_time,
        state=(run.state.name if run.state else None) or "Pending",
        parameters=run.parameters,
    )


def _digest(subject: Mapping[str, Any]) -> str:
    return sha256(json.dumps(subject, sort_keys=True).encode()).hexdigest()[:32]
