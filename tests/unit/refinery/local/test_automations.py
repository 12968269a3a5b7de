"""Automations as they are made of the file: names become ids, and what is missing is left out."""

from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.events.actions import SendNotification

from refinery.local.automations import made_of, read_automations

ROOT = Path(__file__).parents[4]
FILE = ROOT / "deployments" / "automations.yaml"
BLOCKS = {"refinery-alarms": UUID(int=7)}
PEOPLE = "people are told of alarms"


def written(body: str, block: str = "refinery-alarms") -> dict[str, Any]:
    return {
        "name": "n",
        "trigger": {"type": "event", "posture": "Reactive", "expect": ["specimen.alarm.*"]},
        "actions": [
            {"type": "send-notification", "block": block, "subject": "$100 {{ a }}", "body": body}
        ],
    }


def action(body: str, **pages: str) -> SendNotification:
    made = made_of(written(body), blocks=BLOCKS, pages=pages)
    assert made is not None
    (found,) = made.actions
    assert isinstance(found, SendNotification)
    return found


def test_a_block_is_named_in_the_file_and_has_its_id_in_prefect() -> None:
    assert action("x").block_document_id == BLOCKS["refinery-alarms"]


def test_a_line_whose_address_there_is_not_is_left_out() -> None:
    body = "why\nBoard: $board/today\nPrefect: $prefect"
    assert action(body, prefect="http://p", board="").body == "why\nPrefect: http://p"
    both = action(body, prefect="http://p", board="http://b")
    assert both.body == "why\nBoard: http://b/today\nPrefect: http://p"


def test_what_is_no_name_stays_as_it_is() -> None:
    assert action("x").subject == "$100 {{ a }}"


def test_whoever_would_tell_people_that_nobody_named_is_left_out() -> None:
    assert made_of(written("x"), blocks={}, pages={}) is None
    names = [each.name for each in read_automations(FILE, blocks={}, pages={})]
    assert PEOPLE not in names and names
    assert PEOPLE in [each.name for each in read_automations(FILE, blocks=BLOCKS, pages={})]


def test_what_was_written_anew_bears_another_tag_and_no_file_is_no_automation(
    tmp_path: Path,
) -> None:
    first, same, other = (
        made_of(written(body), blocks=BLOCKS, pages={}) for body in ("x", "x", "y")
    )
    assert first and same and other and first.tags == same.tags != other.tags
    assert read_automations(tmp_path / "none.yaml", blocks=BLOCKS, pages={}) == []
