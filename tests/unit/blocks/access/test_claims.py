"""What a provider's token says of somebody: the name and the texts of a claim."""

from typing import Any

import pytest

from blocks.access.claims import SIGNED_BY_KEY, NoNameClaimed, name_in, texts_in


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "åse", "email": "a@b.example", "name": "Åse"}, "åse"),
        ({"email": "a@b.example", "name": "Åse"}, "a@b.example"),
        ({"email": "a@b.example", "email_verified": False, "name": "Åse"}, "Åse"),
        ({"preferred_username": " \u202e", "name": "A\u030ase"}, "Åse"),
        ({"preferred_username": 7, "name": "Åse"}, "Åse"),
    ],
)
def test_the_name_is_the_first_that_can_be_shown(claims: dict[str, Any], name: str) -> None:
    assert name_in(claims) == name


@pytest.mark.parametrize("claims", [{}, {"sub": "1"}, {"name": ""}, {"name": ["Åse"]}])
def test_without_a_name_that_can_be_shown_there_is_none(claims: dict[str, Any]) -> None:
    with pytest.raises(NoNameClaimed, match="none of preferred_username, email, name"):
        name_in(claims)


@pytest.mark.parametrize(
    ("claims", "claim", "texts"),
    [
        ({"w": ["A", "B"]}, "w", ("A", "B")),
        ({"w": "A"}, "w", ("A",)),
        ({"a": {"b": ["A"]}}, "a.b", ("A",)),
        ({"a.b": "whole", "a": {"b": "within"}}, "a.b", ("whole",)),
        ({"https://m.example/w": ["A"]}, "https://m.example/w", ("A",)),
        ({"w": ["A", 7, None, {"B": 1}]}, "w", ("A",)),
        ({"w": {"A": 1}}, "w", ()),
        ({"a": ["b"]}, "a.b", ()),
        ({}, "w", ()),
        ({"w": None}, "w", ()),
    ],
)
def test_a_claim_holds_one_text_or_a_list_of_them_or_lies_within_another(
    claims: dict[str, Any], claim: str, texts: tuple[str, ...]
) -> None:
    assert texts_in(claims, claim) == texts


def test_no_token_is_believed_that_others_can_sign() -> None:
    assert not {each for each in SIGNED_BY_KEY if each.startswith("HS") or each == "none"}
