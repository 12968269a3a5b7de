"""Where a login leads to: to our own pages and nowhere else."""

import pytest

from board.login.own_paths import FIRST, own_path


@pytest.mark.parametrize("path", ["/", "/find?q=a%20b&page=2", "/specimens/7e8-7", "/a?next=//b"])
def test_a_page_of_ours_is_where_it_goes(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        "", "find", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "https://evil.example", "https:evil.example", "javascript:alert(1)", "/\t/evil.example",
        "/\n/evil.example", " //evil.example", "/ /evil.example", "http:///evil", "/\0",
        "/login?next=/", "/logout", "/a\r\nSet-Cookie: a=b", "//[", "/" + "a" * 3000,
    ],
)  # fmt: skip
def test_anything_else_goes_to_the_first_page(text: str) -> None:
    assert own_path(text) == FIRST
