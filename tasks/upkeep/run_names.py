"""What runs are called in Prefect: what they do, for what or when, and who asked.

A run has Prefect's random words until it begins; then one of these names it.
"""

from collections.abc import Callable
from typing import Any

from prefect.runtime import flow_run


def named_by_time(flow: str) -> Callable[[], str]:
    """Names a flow's runs by the minute they were due, in local time: `prune 2026-11-30 15:17`."""

    def name() -> str:
        due = flow_run.scheduled_start_time.astimezone()
        tried = "dry run " if flow_run.parameters.get("dry_run") else ""
        return f"{flow} {tried}{due:%Y-%m-%d %H:%M}"

    return name


def named_by_verb(verb: str, *shown: str) -> Callable[[], str]:
    """Names a verb's runs by what it is asked to do and by whom: `skip GUID ocr by ada`.

    `shown` are the parameters that are said, in order; what was not given is left out.
    """

    def name() -> str:
        given = flow_run.parameters
        said = [verb, *(_word(each, given.get(each)) for each in (*shown, "dry_run"))]
        return " ".join(word for word in [*said, f"by {given['by']}"] if word)

    return name


def _word(name: str, value: Any) -> str:
    match name, value:
        case "on", bool():
            return "on" if value else "off"
        case _, bool():
            return name.replace("_", " ") if value else ""
    return "" if value is None else str(value)
