"""Guids: the form with dashes, derivatives, and what may name a folder."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.guid import (
    MAX_BYTES,
    MAX_RANDOM,
    Guid,
    GuidError,
    check_file_name,
    check_guid,
    derivative_guid,
    has_dashed_form,
    is_path_safe,
    why_not_path_safe,
)

SHEET = "7e8-7-17-14-1d-32-0-001-04-000-097367-00000"


def test_a_guid_holds_its_capture_time_and_place() -> None:
    guid = Guid.parse(SHEET)
    assert guid.captured == datetime(2024, 7, 23, 20, 29, 50)  # noqa: DTZ001
    assert (guid.institution, guid.collection, guid.workstation) == (0, 1, 4)
    assert (guid.derivative, guid.random, guid.future) == (0, 619367, 0)


def test_the_wall_clock_is_kept_whatever_its_zone() -> None:
    taken = datetime(2024, 7, 23, 20, 29, 50, 999, tzinfo=UTC)
    guid = Guid.build(taken, institution=0, collection=1, workstation=4, random=619367)
    assert str(guid) == SHEET


@given(
    st.datetimes(max_value=datetime(4095, 1, 1)),  # noqa: DTZ001
    st.integers(0, 15),
    st.integers(0, 4095),
    st.integers(0, 255),
    st.integers(0, MAX_RANDOM),
)
def test_a_guid_that_is_built_is_parsed_back(
    captured: datetime, institution: int, collection: int, workstation: int, random: int
) -> None:
    guid = Guid.build(
        captured,
        institution=institution,
        collection=collection,
        workstation=workstation,
        random=random,
    )
    assert Guid.parse(str(guid)) == guid
    assert is_path_safe(str(guid))


@pytest.mark.parametrize("odd", [{"institution": 16}, {"random": 1_000_000}, {"workstation": -1}])
def test_a_code_that_does_not_fit_is_refused(odd: dict[str, int]) -> None:
    codes = {"institution": 0, "collection": 0, "workstation": 0, "random": 0, **odd}
    with pytest.raises(GuidError):
        Guid.build(datetime(2024, 1, 1, tzinfo=UTC), **codes)


def test_a_derivative_of_a_dashed_guid_is_counted_in_group_ten() -> None:
    child = derivative_guid(SHEET, 2, 72)
    assert child == "7e8-7-17-14-1d-32-0-001-04-002-097367-00000"
    assert Guid.parse(child).derivative == 2
    with pytest.raises(GuidError, match="a derivative itself"):
        derivative_guid(child, 1, 400)
    with pytest.raises(GuidError, match="does not fit"):
        derivative_guid(SHEET, 4096, 72)


@pytest.mark.parametrize("parent", ["040ck2b867e9c110c3a272e5047af8", f"{SHEET}_400", "blåbær 7"])
def test_a_derivative_of_any_other_guid_has_its_resolution_in_its_name(parent: str) -> None:
    assert not has_dashed_form(parent)
    assert derivative_guid(parent, 2, 72) == f"{parent}_72"


@pytest.mark.parametrize("text", ["", "7e8-7-17", SHEET.upper(), SHEET.replace("-7-", "-d-", 1)])
def test_another_form_is_not_parsed(text: str) -> None:
    with pytest.raises(GuidError):
        Guid.parse(text)


@pytest.mark.parametrize("name", ["blåbær 7", "標本", f"{SHEET}_400", "a.b", "CONSOLE", "x" * 120])
def test_any_name_every_file_system_takes_is_a_guid(name: str) -> None:
    assert check_guid(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("a/b", "contains /"),
        ("a\\b", r"contains \\"),
        ("C:a", "contains :"),
        ("a..b", r"contains \.\."),
        ("..", r"contains \.\."),
        (".hidden", r"begins with '\.'"),
        ("-rf", "begins with '-'"),
        ("a\nb", r"U\+000A"),
        ("a\0", r"U\+0000"),
        ("a\u202eb", r"U\+202E"),
        ("\ud800", r"U\+D800"),
        ("NUL", "Windows"),
        ("com1.tif", "Windows"),
        ("a ", "ends with ' '"),
        ("å" * 61, "122 bytes"),
    ],
)
def test_a_name_some_file_system_refuses_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(GuidError, match=reason):
        check_guid(name)


def test_a_file_name_may_be_a_guid_and_a_suffix() -> None:
    assert check_file_name("x" * MAX_BYTES + ".tif")
    with pytest.raises(GuidError, match="file's name"):
        check_file_name("../x.tif")


@given(st.text())
def test_whatever_is_path_safe_stays_one_step_of_a_path(name: str) -> None:
    if why_not_path_safe(name) is None:
        assert name.encode()
        assert not {"/", "\\", "\0", "\n"} & set(name)
        assert name not in {".", ".."}
