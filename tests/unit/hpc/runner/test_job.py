"""Names from outside lead nowhere but into the asset's folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc.runner.errors import BadInput
from hpc.runner.job import asset_folder, inside, result


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", ".hidden"]
)
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="not a plain file name"):
        inside(tmp_path, name)


@given(st.text(max_size=30))
def test_whatever_the_name_it_stays_in_the_folder_or_is_refused(name: str) -> None:
    folder = Path("/site/assets")
    try:
        path = asset_folder(Path("/site"), name)
    except BadInput:
        return
    assert path.parent == folder
    assert path.name == name


def test_names_of_the_field_are_accepted(tmp_path: Path) -> None:
    for name in ("7e7-2-01_400.tif", "Ærø sheet 1.tif", "a.b.c.jpg"):
        assert inside(tmp_path, name) == tmp_path / name


def test_a_result_has_every_field_and_no_derivatives_unless_declared() -> None:
    made = result()
    assert made["derivatives"] is None
    assert made["warning"] is None
    assert result(derivatives=[])["derivatives"] == []
    assert result(warnings=["a", "b"])["warning"] == "a; b"
