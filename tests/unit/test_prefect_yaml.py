"""What Prefect would silently ignore or misread in prefect.yaml and the automations."""

import importlib
import inspect
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.events.schemas.automations import AutomationCore
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel

from flows.archive import archive_asset
from flows.dispatch import BUILTINS
from flows.module import run_module
from refinery.local.automations import made_of
from schemas import events
from schemas.events import JOB_OVERDUE, SESSION_READY, SESSION_WAKE
from tasks.upkeep.verbs import verb_of

ROOT = Path(__file__).parents[2]
WRITTEN: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
AUTOMATIONS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8")
)["automations"]
ALL = {value for name, value in vars(events).items() if name.isupper() and type(value) is str}
OF_CALLBACKS = {name for name in ALL if name.startswith("hpc.job.")} - {JOB_OVERDUE}
RUNBOOK = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
DEPLOYMENTS: list[dict[str, Any]] = WRITTEN["deployments"]
VERBS = {
    "prepare-site",
    "doctor-site",
    "pipeline",
    "resubmit",
    "skip",
    "cancel",
    "lost",
    "agent",
    "attention",
    "switch",
    "priority",
    "site",
    "push",
    "metadata",
    "replace",
    "outputs",
    "retention",
}


def flow_of(deployment: dict[str, Any]) -> Flow[Any, Any]:
    file, _, name = deployment["entrypoint"].partition(":")
    found = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(found, Flow)
    return found


def full_name(deployment: dict[str, Any]) -> str:
    return f"{flow_of(deployment).name}/{deployment['name']}"


def keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


every = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])


def test_every_event_of_ours_that_people_may_hear_is_in_the_runbook() -> None:
    listed = RUNBOOK.partition("### events")[2].partition("### figures")[0]
    for name in ALL - OF_CALLBACKS - {SESSION_READY, SESSION_WAKE}:
        assert f"`{name}`" in listed or f"`.{name.rpartition('.')[2]}`" in listed


def test_every_deployment_there_should_be_is_there_once() -> None:
    names = [full_name(each) for each in DEPLOYMENTS]
    wanted = {"dispatch/session", "reconcile/every-minute", "prune/hourly", "records/daily"}
    assert sorted(names) == sorted(wanted | {f"operate/{verb}" for verb in VERBS})


def test_the_files_own_keys_are_known() -> None:
    assert WRITTEN.keys() <= keys(PrefectYamlModel) | {"definitions"}


@every
def test_every_key_of_a_deployment_is_known(deployment: dict[str, Any]) -> None:
    assert deployment.keys() <= keys(DeploymentConfig)
    assert deployment["work_pool"].keys() <= keys(WorkPoolConfig)
    assert deployment.get("concurrency_limit", {}).keys() <= keys(ConcurrencyLimitSpec)
    for schedule in deployment.get("schedules", []):
        assert schedule.keys() <= keys(RawScheduleConfig)
    for trigger in deployment.get("triggers", []):
        assert trigger.keys() <= keys(DeploymentEventTrigger)
        DeploymentEventTrigger.model_validate(trigger)


@every
def test_every_deployment_is_in_the_runbook(deployment: dict[str, Any]) -> None:
    name = full_name(deployment)
    verb = name.removeprefix("operate/")
    shown = f"prefect deployment run {name}" if verb == name else f"refinery operate {verb}"
    assert f"\n{shown}" in RUNBOOK


@every
def test_only_dispatchers_are_in_the_dispatchers_pool(deployment: dict[str, Any]) -> None:
    dispatches = full_name(deployment) == "dispatch/session"
    pool = "REFINERY_WORK_POOL" if dispatches else "REFINERY_HOUSEKEEPING_POOL"
    assert deployment["work_pool"]["name"] == f"{{{{ ${pool} }}}}"


@every
def test_every_parameter_is_one_of_the_flows_and_is_valid(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    given = deployment.get("parameters", {})
    signature = inspect.signature(flow.fn)
    assert given.keys() <= signature.parameters.keys()
    required = {
        each.name: (*each.choices, "00000000-0000-0000-0000-000000000000")[0]
        if each.choices or each.name == "session" else "1"
        for each in verb_of("", "", parameter_schema(flow.fn).model_dump()).parameters
        if each.required
    }  # fmt: skip
    flow.validate_parameters(required | given)


@every
def test_every_operators_verb_asks_who_it_is(deployment: dict[str, Any]) -> None:
    if deployment["entrypoint"].startswith("flows/operate.py"):
        parameter = inspect.signature(flow_of(deployment).fn).parameters["by"]
        assert parameter.default is inspect.Parameter.empty
        assert "by" not in deployment.get("parameters", {})


@every
def test_triggers_are_explicit_and_only_sessions_start_a_dispatcher(
    deployment: dict[str, Any],
) -> None:
    for trigger in deployment.get("triggers", []):
        assert full_name(deployment) == "dispatch/session"
        assert trigger["match"] == {"prefect.resource.id": "specimen.session.*"}
        assert trigger["for_each"] == ["prefect.resource.id"]
        assert (trigger["threshold"], trigger["within"]) == (1, 0)
        assert trigger["parameters"] == {"session": "{{ event.payload.session }}"}


def test_ready_and_wake_start_a_dispatcher_and_nothing_else_does() -> None:
    expected = [
        name
        for deployment in DEPLOYMENTS
        for trigger in deployment.get("triggers", [])
        for name in trigger["expect"]
    ]
    assert sorted(expected) == sorted([SESSION_READY, SESSION_WAKE])


EXAMPLES: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "docs" / "alarms.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
)["automations"]
BLOCKS = {"refinery-alarms": UUID(int=1)}


@pytest.mark.parametrize("written", [*AUTOMATIONS, *EXAMPLES], ids=lambda each: each["name"])
def test_automations_are_known_to_prefect_and_start_no_dispatcher(written: dict[str, Any]) -> None:
    assert written.keys() <= keys(AutomationCore)
    automation = made_of(written, blocks=BLOCKS, pages={})
    assert automation is not None
    trigger = written["trigger"]
    assert trigger.keys() <= keys(type(automation.trigger))
    assert trigger["match"]
    assert all(action["type"] != "run-deployment" for action in written["actions"])
    ours = {
        name
        for name in (*trigger.get("expect", []), *trigger.get("after", []))
        if not name.startswith("prefect.")
    }
    assert ours <= ALL


@every
def test_every_parameter_of_a_deployment_has_a_help_text_in_prefects_form(
    deployment: dict[str, Any],
) -> None:
    shown = flow_of(deployment).parameters.model_dump()
    verb = verb_of(deployment["name"], deployment["description"], shown)
    assert verb.help and not [each.name for each in verb.parameters if not each.help]
    # What a parameter is made of, as `pace`, is shown below it.
    for name, model in shown.get("definitions", {}).items():
        assert model["description"], name
        parts = model.get("properties", {})
        assert not [part for part, given in parts.items() if not given.get("description")], name


def test_every_parameter_of_a_subflow_has_a_help_text() -> None:
    for flow in (*BUILTINS.values(), archive_asset, run_module):
        parts = flow.parameters.model_dump()["properties"]
        assert parts and all(given.get("description") for given in parts.values()), flow.name


@every
def test_every_run_of_a_deployment_has_a_name_that_says_something(
    deployment: dict[str, Any],
) -> None:
    assert flow_of(deployment).flow_run_name
