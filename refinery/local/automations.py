"""Prefect's automations as `deployments/automations.yaml` has them: made, changed, removed.

Ours bear a tag with a hash of what was written: one that is as it was made is left alone, and so
is the switch by which a person pauses it. What somebody else made is not touched.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore

BLOCK = "block"
"""How an action names the notification block that it sends through; Prefect wants its id."""

OURS = "refinery"
PAGE = 200
"""Automations that Prefect's API gives at once."""


def read_automations(
    path: Path, *, blocks: Mapping[str, UUID], pages: Mapping[str, str]
) -> list[AutomationCore]:
    """The file's automations, none if there is no file.

    `blocks`: the ids of notification blocks by their names; an automation that names another one
    is left out: nobody is to be told. `pages`: addresses for `$name` in the actions' texts; a line
    with one that is missing or empty is left out.
    """
    if not path.is_file():
        return []
    written = yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]
    found = [made_of(each, blocks=blocks, pages=pages) for each in written]
    return [each for each in found if each is not None]


def made_of(
    written: Mapping[str, Any], *, blocks: Mapping[str, UUID], pages: Mapping[str, str]
) -> AutomationCore | None:
    """The automation that was written, or None when it tells somebody whom nobody named."""
    actions = [_filled_in(action, pages) for action in written["actions"]]
    if any(action.get(BLOCK, "") not in {"", *blocks} for action in actions):
        return None
    for action in actions:
        if name := action.pop(BLOCK, None):
            action["block_document_id"] = str(blocks[name])
    whole = {**written, "actions": actions}
    return AutomationCore.model_validate(whole | {"tags": [OURS, _hash(whole)]})


def _filled_in(action: Mapping[str, Any], pages: Mapping[str, str]) -> dict[str, Any]:
    known = {name: url for name, url in pages.items() if url}
    return {
        key: _lines(value, known) if isinstance(value, str) else value
        for key, value in action.items()
    }


def _lines(words: str, known: Mapping[str, str]) -> str:
    lines = map(Template, words.splitlines())
    kept = [line.safe_substitute(known) for line in lines if {*line.get_identifiers()} <= {*known}]
    return "\n".join(kept)


def _hash(written: Mapping[str, Any]) -> str:
    text = json.dumps(written, sort_keys=True)
    return f"{OURS}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


async def ensure_automations(client: PrefectClient, wanted: list[AutomationCore]) -> None:
    """Make those that are missing, change those that were written anew, remove those that left.

    One of a wanted name that bears no tag was made by an earlier version, and is taken over.
    """
    names = {each.name for each in wanted}
    present: dict[str, Automation] = {}
    for known in await _all(client):
        if known.name in names and known.name not in present:
            present[known.name] = known
        elif OURS in known.tags or known.name in names:
            await client.delete_automation(known.id)
    for each in wanted:
        before = present.get(each.name)
        if before is None:
            await client.create_automation(each)
        elif {*before.tags} != {*each.tags}:
            await client.update_automation(before.id, each)


async def _all(client: PrefectClient) -> list[Automation]:
    """Every automation that there is, those of deployments' triggers too."""
    found: list[Automation] = []
    while True:
        answer = await client.request(
            "POST", "/automations/filter", json={"limit": PAGE, "offset": len(found)}
        )
        page = [Automation.model_validate(each) for each in answer.json()]
        found += page
        if len(page) < PAGE:
            return found
