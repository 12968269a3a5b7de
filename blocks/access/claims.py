"""What a login provider's token says of somebody, whichever way the token came to us."""

from collections.abc import Mapping
from typing import Any

from blocks.access.users import user_name

SIGNED_BY_KEY = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""How a token may be signed: never with nothing, nor with what others know."""

LEEWAY_S = 60
"""What the provider's clock may differ from ours."""

NAME_CLAIMS = ("preferred_username", "email", "name")


class ProviderAway(RuntimeError):
    """The provider does not answer, or answers what cannot be understood."""


class NoNameClaimed(ValueError):
    """A token holds no name that the history could show."""


def name_in(claims: Mapping[str, Any]) -> str:
    """What somebody is called here. Raises NoNameClaimed without a name that can be shown."""
    for claim in NAME_CLAIMS:
        unproven = claim == "email" and claims.get("email_verified") is False
        value = claims.get(claim)
        if not isinstance(value, str) or unproven:
            continue
        try:
            return user_name(value)
        except ValueError:
            continue
    raise NoNameClaimed(f"none of {', '.join(NAME_CLAIMS)} holds a name that can be shown")


def texts_in(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The texts of a claim that holds one or a list of them; `a.b` is b within a.

    A claim whose own name is `a.b` goes first. What is no text is left out.
    """
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for step in claim.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return tuple(each for each in values if isinstance(each, str))
