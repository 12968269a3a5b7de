"""What a verb will do, in a plain sentence, before somebody confirms it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from board.context import Board
from board.rendering import number
from tasks.upkeep.verbs import Verb
from track.commands.selection import CannotDo, Selection, check
from track.reports.selected import Selected, selected

Given = Mapping[str, Any]

NEEDS_A_NAME = "Say what is meant: a guid, a stage, a session or a pipeline."


async def sentence(here: Board, verb: Verb, given: Given) -> str:
    """What will happen. Raises CannotDo when something that is named does not exist."""
    missing = [p.name for p in verb.parameters if p.required and p.name not in {*given, "by"}]
    if missing:
        return f"{verb.help} Still to be filled in: {', '.join(missing)}."
    if verb.name == "resubmit":
        return await _resubmit(here, given)
    if given.keys() >= {"guid", "stage"} and verb.name in OF_ONE_JOB:
        found = await _selected(here, given)
        return OF_ONE_JOB[verb.name].format(**given) + f" It is {found.state or 'not there'} now."
    if verb.name in OTHERS:
        await _selected(here, given)
        return OTHERS[verb.name](given)
    return verb.help


async def _selected(here: Board, given: Given, *, cancelled: bool = True) -> Selected:
    """Raises CannotDo."""
    session = given.get("session")
    wanted = Selection(
        guid=given.get("guid"),
        stage=given.get("stage"),
        session=None if session is None else UUID(str(session)),
        pipeline=given.get("pipeline"),
    )
    await here.read(check, wanted)
    return await here.read(selected, **asdict(wanted), cancelled=cancelled)


async def _resubmit(here: Board, given: Given) -> str:
    if not given.keys() & {"guid", "stage", "session", "pipeline"}:
        raise CannotDo(f"guid: {NEEDS_A_NAME}")
    of_one = "guid" in given
    found = await _selected(here, given, cancelled=of_one)
    if of_one and "stage" in given:
        now = f"it is {found.state} now" if found.state else "it has none"
        return (
            f"Do stage {given['stage']} of {given['guid']} again, whatever became of it ({now}), "
            "and all that was built on it."
        )
    if not found.jobs:
        return f"Nothing {_where(given)} has failed: nothing would change."
    if of_one:
        return f"Do again the {_count(found.jobs, 'stage')} of {given['guid']} that stopped."
    what = f"stage {given['stage']}" if "stage" in given else _count(found.jobs, "stage")
    rest = [f"of {_count(found.assets, 'specimen')}"]
    rest += [f"of {given['pipeline']}"] if "pipeline" in given else []
    rest += ["of this session"] if "session" in given else []
    return f"Do {what} {' '.join(rest)} again: all that failed there, of whatever cause."


def _where(given: Given) -> str:
    named = {"guid": "of {}", "stage": "at stage {}", "pipeline": "of pipeline {}"}
    parts = [words.format(given[name]) for name, words in named.items() if name in given]
    return " ".join(parts + (["in this session"] if "session" in given else []))


def _count(count: int, noun: str) -> str:
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


OF_ONE_JOB = {
    "skip": "Leave stage {stage} of {guid} out, so that what follows may run.",
    "cancel": "Stop stage {stage} of {guid}: at once while nothing runs for it, else its site is "
    "asked to.",
    "lost": "Declare over what a site has of stage {stage} of {guid}, and do it again. Look at the "
    "site first: what still runs there is told to stop, and what it brings is refused.",
    "outputs": "Decide what becomes of stage {stage} of {guid}, whose outputs cannot be brought.",
}


def _attention(given: Given) -> str:
    if given.get("text"):
        return f"Hold {given['guid']} and its derivatives for a person: {given['text']}"
    return f"Let {given['guid']} and its derivatives go on."


def _switch(given: Given) -> str:
    if "site" in given:
        what, off = f"site {given['site']}", "no new job is given to it"
    else:
        stage = f"stage {given['stage']} of " if "stage" in given else ""
        what = f"{stage}pipeline {given.get('pipeline', '?')}"
        off = "its jobs are held until it is switched on, and what is under way goes on"
    return f"Switch {what} on." if given["on"] else f"Switch {what} off: {off}."


def _priority(given: Given) -> str:
    what = given.get("guid") or ("this session" if "session" in given else "?")
    than = "before" if given["priority"] > 0 else "after" if given["priority"] < 0 else "among"
    return f"Let {what} go {than} others: priority {given['priority']}."


OTHERS: dict[str, Callable[[Given], str]] = {
    "attention": _attention,
    "switch": _switch,
    "priority": _priority,
}
