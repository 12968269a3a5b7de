"""Cleaning removes one asset's folder and nothing else."""

import pytest

from hpc.runner.errors import BadInput
from hpc.runner.modules import clean


def test_the_asset_is_removed_and_its_neighbour_stays(make_job) -> None:
    job = make_job("s.jpg", lambda path: path.write_bytes(b"12345"))
    neighbour = job.root / "assets" / "another"
    neighbour.mkdir()
    assert clean.run(job)["details"] == {"removed_files": 1, "removed_bytes": 5}
    assert not job.folder.exists()
    assert neighbour.exists()


def test_already_gone_is_fine(make_job) -> None:
    assert clean.run(make_job())["details"]["removed_files"] == 0


@pytest.mark.parametrize("guid", ["..", ".", "", "../batches", "a/b"])
def test_a_guid_that_leads_elsewhere_removes_nothing(make_job, tmp_path, guid: str) -> None:
    (tmp_path / "batches").mkdir()
    (tmp_path / "assets").mkdir()
    with pytest.raises(BadInput):
        clean.run(make_job()._replace(guid=guid))
    assert {path.name for path in tmp_path.iterdir()} == {"batches", "assets"}


def test_a_link_is_left_to_a_person(make_job, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    job = make_job()
    (tmp_path / "assets").mkdir()
    job.folder.symlink_to(elsewhere)
    with pytest.raises(BadInput, match="is a link"):
        clean.run(job)
    assert (elsewhere / "precious").exists()
