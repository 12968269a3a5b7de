"""The drill: the databases come back from a backup that is older than what the archive has."""

import shutil
from pathlib import Path

import pytest

from tests.support import kills
from tests.support.one_specimen import Drop
from tests.support.stack import Stack

ENDS = """
    SELECT a.guid, a.finalised_at IS NOT NULL AS finalised,
           (SELECT count(*) FROM track.job j WHERE j.asset_guid = a.guid
             AND j.state NOT IN ('done', 'excluded')) AS open
    FROM track.asset a WHERE a.session_id = %(session)s ORDER BY a.guid
"""
CREATED = "SELECT asset_guid, event FROM ars.event WHERE event LIKE 'CREATE%%' ORDER BY 1, 2"


@pytest.mark.timeout(900)
def test_what_was_under_way_and_what_came_after_the_backup_end_once_and_whole(
    stack: Stack, drop: Drop, tmp_path: Path
) -> None:
    under_way = drop()
    stack.until(lambda: bool(kills.holds(stack, under_way, "running", "barcode")()), "a module")
    saved = save(stack, tmp_path / "saved")
    later = drop()
    ended = {path: stack.rows(ENDS, session=stack.follow(path)) for path in (under_way, later)}
    created = stack.archive_rows(CREATED)
    # The archive is not ours, and forgets nothing: of the databases only its stand-in's is new.
    shutil.copy2(save(stack, tmp_path / "new") / "ars.dump", saved / "ars.dump")

    assert stack.refinery("stop").returncode == 0
    restored = stack.refinery("restore", str(saved))
    assert restored.returncode == 0, restored.stderr
    closed = later.with_name(f"imported_{later.name}")
    assert f"{closed}" in restored.stdout, "what it does not know any more is not named"
    assert str(under_way) not in restored.stdout
    closed.rename(later)
    assert stack.refinery("up", "--detach").returncode == 0

    for path in (under_way, later):
        assert stack.rows(ENDS, session=stack.follow(path)) == ended[path]
        assert path.with_name(f"imported_{path.name}").is_dir()
    assert stack.archive_rows(CREATED) == created, "something was created twice"
    assert stack.shared() == set()


def save(stack: Stack, folder: Path) -> Path:
    done = stack.refinery("backup", str(folder))
    assert done.returncode == 0, done.stderr
    return folder
