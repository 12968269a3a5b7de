"""Prefect has the issue tracker that is set, and none when none is."""

from pathlib import Path

import pytest

from blocks.issue_tracker import IssueTracker
from refinery.local.prefect_setup import save_tracker
from refinery.settings import Settings


async def test_prefect_keeps_the_tracker_that_is_set_and_forgets_it_with_the_setting(
    prefect_server: None, tmp_path: Path
) -> None:
    tracker = {
        "REFINERY_ISSUE_TRACKER_REPOSITORY": "snm/workstations",
        "REFINERY_ISSUE_TRACKER_TOKEN": "ghp_hunter2",
    }
    for _ in range(2):
        await save_tracker(Settings.load(tmp_path, tracker))
    kept = await IssueTracker.aload("default")
    assert kept.repository == "snm/workstations"
    assert kept.token.get_secret_value() == "ghp_hunter2"
    for _ in range(2):
        await save_tracker(Settings.load(tmp_path, {}))
    with pytest.raises(ValueError, match="default"):
        await IssueTracker.aload("default")
