"""The N-Drive's block refuses what could not be a drive."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from blocks.ndrive import NDrive


def test_a_drive_has_a_root_and_an_explicit_list_of_workstations(tmp_path: Path) -> None:
    drive = NDrive(root=tmp_path, workstations=["WORKHERB0001"], settle_seconds=2, poll_seconds=1)
    assert (drive.root, drive.workstations) == (tmp_path, ["WORKHERB0001"])
    with pytest.raises(ValidationError, match="workstations"):
        NDrive(root=tmp_path)


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "..\\x"])
def test_a_workstation_is_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="is no folder name"):
        NDrive(root=tmp_path, workstations=[name])


def test_a_relative_root_is_refused() -> None:
    with pytest.raises(ValidationError, match="absolute"):
        NDrive(root=Path("ndrive"), workstations=["*"])


@pytest.mark.parametrize("field", ["settle_seconds", "poll_seconds"])
def test_times_are_positive(tmp_path: Path, field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        NDrive(root=tmp_path, workstations=["*"], **{field: 0})
