"""Archived means three things at once; any two of them are not enough."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.ars_client import IN_ERDA, NOT_IN_ERDA, AssetStatus, FileRow
from blocks.tier import Outcome
from tasks.archive.ars.synchronise import decide


@dataclass(frozen=True)
class Expected:
    name: str = "a.tif"
    crc32: int = 7
    size_bytes: int = 100


SAVED = FileRow("a.tif", 7, 100, synchronised=True)


def at(status: str, share: int | None = None, error: str | None = None) -> AssetStatus:
    return AssetStatus("g", status, share, error_message=error)


@pytest.mark.parametrize("status", sorted(IN_ERDA))
def test_every_word_for_success_in_both_vocabularies_is_done(status: str) -> None:
    assert decide(at(status), [SAVED], [Expected()]).done


@pytest.mark.parametrize("status", sorted(NOT_IN_ERDA))
def test_every_word_for_failure_is_failed_with_its_reason(status: str) -> None:
    verdict = decide(at(status, 5, "ERDA is away"), [], [Expected()])
    assert verdict.outcome is Outcome.FAILED
    assert verdict.share_open
    assert "ERDA is away" in verdict.reason


def test_success_with_an_open_share_is_not_done() -> None:
    assert decide(at("COMPLETED", 5), [SAVED], [Expected()]).outcome is Outcome.SHARE_OPEN


def test_success_without_any_file_is_not_done() -> None:
    verdict = decide(at("ERDA_SYNCHRONISED"), [], [Expected()])
    assert verdict.outcome is Outcome.MISSING
    assert verdict.missing == ("a.tif",)


@pytest.mark.parametrize(
    "row",
    [
        FileRow("a.tif", 8, 100, synchronised=True),
        FileRow("a.tif", 7, 101, synchronised=True),
        FileRow("b.tif", 7, 100, synchronised=True),
        FileRow("a.tif", 7, 100, synchronised=False),
        FileRow("a.tif", 7, 100, synchronised=True, leaving=True),
    ],
)
def test_a_file_that_differs_in_anything_does_not_count(row: FileRow) -> None:
    assert decide(at("COMPLETED"), [row], [Expected()]).outcome is Outcome.MISSING


@pytest.mark.parametrize("status", ["METADATA_RECEIVED", "ASSET_RECEIVED", "SHARE_REOPENED"])
def test_any_other_word_is_pending(status: str) -> None:
    assert decide(at(status, 5), [SAVED], [Expected()]).outcome is Outcome.PENDING


def test_an_asset_ars_does_not_know_has_failed() -> None:
    assert decide(None, [SAVED], [Expected()]).outcome is Outcome.FAILED


def test_expecting_nothing_is_an_error_and_never_a_success() -> None:
    with pytest.raises(ValueError, match="without expected files"):
        decide(at("COMPLETED"), [], [])


rows = st.builds(
    FileRow,
    st.sampled_from(["a.tif", "b.tif"]),
    st.integers(7, 8),
    st.integers(100, 101),
    st.booleans(),
    st.booleans(),
)


@given(
    st.sampled_from(sorted(IN_ERDA | NOT_IN_ERDA | {"ASSET_RECEIVED", "", "odd"})),
    st.one_of(st.none(), st.integers(1, 9)),
    st.lists(rows, max_size=4),
)
def test_done_is_said_only_when_all_three_hold(
    status: str, share: int | None, listed: list[FileRow]
) -> None:
    expected = [Expected(), Expected("b.tif", 8, 101)]
    held = {(r.name, r.crc32, r.size_bytes) for r in listed if r.synchronised and not r.leaving}
    proven = {(e.name, e.crc32, e.size_bytes) for e in expected} <= held
    verdict = decide(at(status, share), listed, expected)
    assert verdict.done == (status in IN_ERDA and share is None and proven)
