"""Derivatives' documents, of either version and as loose as they come."""

from typing import Any

import pytest

from api.legacy.documents import read_child
from schemas.metadata.document import MetadataError
from track.commands.grants import children
from track.commands.legacy import ppi_of

DASHED = "7e8-7-17-14-1d-32-0-001-04-000-097367-00000"


@pytest.mark.parametrize(
    "parent",
    [
        {"parent_guid": "p"},
        {"parent_guid": ["p"]},
        {"parent_guids": ["p"]},
        {"parent_guid": [["p"]]},
    ],
)
def test_a_parent_is_read_however_it_is_written(parent: dict[str, Any]) -> None:
    child = read_child({"asset_guid": "c", "file_format": "JPG", "status": None} | parent)
    assert (child.guid, child.parent_guid) == ("c", "p")
    assert child.fields == {"file_format": "jpeg"}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"asset_guid": "c"}, "parent_guid"),
        ({"asset_guid": "c", "parent_guid": ""}, "parent_guid"),
        ({"parent_guid": "p"}, "asset_guid"),
        ({"asset_guid": "p", "parent_guid": "p"}, "parent_guid"),
        ({"asset_guid": "../c", "parent_guid": "p"}, "asset_guid"),
        ({"asset_guid": "c", "parent_guid": "p", "file_format": {"a": 1}}, "file_format"),
    ],
)
def test_what_is_wrong_with_a_derivative_is_named(document: dict[str, Any], field: str) -> None:
    with pytest.raises(MetadataError) as raised:
        read_child(document)
    assert field in str(raised.value)


@pytest.mark.parametrize(
    ("guid", "ppi"),
    [
        (DASHED.replace("-000-", "-001-"), 400),
        (DASHED.replace("-000-", "-002-"), 72),
        (f"{DASHED}_72", 72),
        (f"{DASHED}_300", 300),
        (f"{DASHED}_big", None),
        ("another", None),
    ],
)
def test_the_resolution_is_read_from_the_name(guid: str, ppi: int | None) -> None:
    assert ppi_of(DASHED, guid, {"ppi": [400, 72]}) == ppi


def test_a_derivative_is_given_no_children() -> None:
    assert children(DASHED.replace("-000-", "-001-"), {"ppi": [72]}) == ()
    assert [child.guid for child in children("p", {"ppi": 72})] == ["p_72"]
