"""Access tokens of a provider that answers over real sockets, and all that is none."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from blocks.access.bearer import (
    AWAY_S,
    KEYS_AGAIN_S,
    KEYS_KEPT_S,
    BadBearer,
    BearerExpired,
    BearerTokens,
    BearerUser,
)
from blocks.access.claims import LEEWAY_S, ProviderAway
from tests.support.oidc_provider import CLIENT_ID, SmallProvider
from tests.support.serving import free_port, serving

HOUR_S = 3600


class Clock:
    """The age of what the provider said, as a test likes."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[SmallProvider]:
    port = free_port()
    made = SmallProvider(f"http://127.0.0.1:{port}")
    made.claims["workstations"] = ["WORKHERB0001", "Ny æske"]
    async with serving(made.app, port):
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


def outside() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False)


@pytest.fixture
def tokens(provider: SmallProvider, clock: Clock) -> BearerTokens:
    return BearerTokens(provider.issuer, CLIENT_ID, "workstations", outside, clock)


async def test_a_good_token_names_who_shows_it_where_they_may_upload_and_until_when(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    ends = int(time.time()) + HOUR_S
    assert await tokens.check(provider.access_token(exp=ends)) == BearerUser(
        "Åse", ("WORKHERB0001", "Ny æske"), datetime.fromtimestamp(ends, UTC)
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": CLIENT_ID, "azp": None},
        {"aud": ["account", CLIENT_ID], "azp": "the client of workstations"},
        {"aud": "account", "azp": CLIENT_ID},
        {"aud": None, "azp": CLIENT_ID},
        {"typ": None},
        {"iat": None},
    ],
)
async def test_it_is_meant_for_us_by_its_audience_or_by_the_client_it_was_given_to(
    provider: SmallProvider, tokens: BearerTokens, claims: dict[str, Any]
) -> None:
    assert (await tokens.check(provider.access_token(**claims))).name == "Åse"


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": "another", "azp": "another"}, "not meant for 'board'"),
        ({"aud": None, "azp": None}, "not meant for 'board'"),
        ({"aud": {CLIENT_ID: 1}, "azp": [CLIENT_ID]}, "not meant for 'board'"),
        ({"aud": [7, CLIENT_ID]}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": 10**30}, "proves no login"),
        ({"typ": "ID"}, "no access token: its claim typ is 'ID'"),
        ({"typ": "Refresh"}, "no access token"),
        ({"typ": ["Bearer"]}, "no access token"),
        ({"preferred_username": None}, "holds a name"),
        ({"preferred_username": "\u202e"}, "holds a name"),
    ],
)
async def test_a_token_that_is_not_for_us_or_of_no_access_proves_nothing(
    provider: SmallProvider, tokens: BearerTokens, claims: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadBearer, match=told):
        await tokens.check(provider.access_token(**claims))


async def test_one_that_has_ended_is_told_apart_and_clocks_may_differ_a_little(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    now = int(time.time())
    with pytest.raises(BearerExpired, match="log in again"):
        await tokens.check(provider.access_token(exp=now - HOUR_S))
    with pytest.raises(BadBearer, match="not yet valid"):
        await tokens.check(provider.access_token(nbf=now + HOUR_S))
    within = {"exp": now - LEEWAY_S // 2, "nbf": now + LEEWAY_S // 2}
    assert await tokens.check(provider.access_token(**within))
    with pytest.raises(BadBearer, match="not meant for") as caught:
        await tokens.check(provider.access_token(exp=now - HOUR_S, azp="another"))
    assert not isinstance(caught.value, BearerExpired)


async def test_a_token_that_another_key_signed_proves_nothing(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(BadBearer, match="did not sign"):
        await tokens.check(provider.access_token())


async def test_a_token_whose_claims_were_changed_proves_nothing(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    header, claims, signature = provider.access_token().split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    said["workstations"] = ["*"]
    forged = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    with pytest.raises(BadBearer, match="did not sign"):
        await tokens.check(f"{header}.{forged}.{signature}")


async def test_nothing_is_believed_that_nobody_signed_or_that_the_public_key_signed(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    public = provider.key.as_pem(private=False)
    for algorithm in ("none", "HS256"):
        provider.header["alg"] = algorithm
        # With its public key as a secret, a careless check takes the provider's own word.
        provider.signing = OctKey.import_key(base64.urlsafe_b64encode(public), {"kid": "one"})
        with pytest.raises(BadBearer, match=f"signed by '{algorithm}'"):
            await tokens.check(provider.access_token())
    assert not provider.asked, "the provider is asked about no such token"


async def test_a_key_of_another_kind_than_the_token_says_is_no_key_of_it(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    provider.header["alg"] = "ES256"
    provider.signing = ECKey.generate_key("P-256", {"kid": "one"})
    with pytest.raises(BadBearer, match="did not sign"):
        await tokens.check(provider.access_token())


async def test_a_provider_may_sign_with_an_elliptic_curve(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    provider.header["alg"] = "ES256"
    provider.key = provider.signing = ECKey.generate_key("P-256", {"kid": "one"})
    assert await tokens.check(provider.access_token())


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "a.b", "a.b.c", "a.b.c.d.e", "e30.e30.e30", "W10.e30.e30"),
        *("Åse", "\ud800", ".."),
        "." * 9000,
    ],
    ids=lambda token: f"{len(token)} characters",
)
async def test_what_is_no_token_is_refused_and_the_provider_not_asked(
    provider: SmallProvider, tokens: BearerTokens, token: str
) -> None:
    with pytest.raises(BadBearer):
        await tokens.check(token)
    assert not provider.asked


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"typ": "logout+jwt"}, "no access token"),
        ({"typ": "dpop+jwt"}, "no access token"),
        ({"typ": ["JWT"]}, "no access token"),
        ({"crit": ["odd"], "odd": 1}, "did not sign|cannot be read"),
    ],
)
async def test_a_token_of_another_type_is_refused(
    provider: SmallProvider, tokens: BearerTokens, header: dict[str, Any], told: str
) -> None:
    good = provider.access_token().split(".")
    said = json.dumps({"alg": "RS256", "kid": "one"} | header).encode()
    good[0] = base64.urlsafe_b64encode(said).decode().rstrip("=")
    with pytest.raises(BadBearer, match=told):
        await tokens.check(".".join(good))


async def test_an_access_token_by_rfc_9068_is_one(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    provider.header["typ"] = "at+jwt"
    assert await tokens.check(provider.access_token())


async def test_workstations_lie_where_the_claim_says_and_what_is_no_folder_is_left_out(
    provider: SmallProvider, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = BearerTokens(provider.issuer, CLIENT_ID, "museum.stations", outside)
    for given, found in (
        ({"stations": ["WORKHERB0001", "../other", "a/b", 7]}, ("WORKHERB0001",)),
        ({"stations": "*"}, ("*",)),
        ({}, ()),
        (None, ()),
    ):
        user = await tokens.check(provider.access_token(museum=given))
        assert user.workstations == found
    assert "museum.stations" in caplog.text and "'../other'" in caplog.text


async def test_the_provider_is_asked_once_however_many_come(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    token = provider.access_token()
    await asyncio.gather(*(tokens.check(token) for _ in range(20)))
    assert provider.asked == ["/.well-known/openid-configuration", "/jwks"]


async def test_after_a_change_of_keys_the_new_one_is_found_and_the_old_one_is_no_more(
    provider: SmallProvider, tokens: BearerTokens, clock: Clock
) -> None:
    old = provider.access_token()
    await tokens.check(old)
    provider.rotate("two")
    with pytest.raises(BadBearer):  # it was asked a moment ago
        await tokens.check(provider.access_token())
    assert await tokens.check(old)
    clock.now += KEYS_AGAIN_S
    assert await tokens.check(provider.access_token())
    with pytest.raises(BadBearer):
        await tokens.check(old)


async def test_unknown_keys_make_it_ask_no_more_than_once_a_minute(
    provider: SmallProvider, tokens: BearerTokens, clock: Clock
) -> None:
    good = provider.access_token()
    provider.header["kid"] = "made up"
    forged = provider.access_token()
    for minutes in range(1, 4):
        for _ in range(5):
            with pytest.raises(BadBearer, match="made up"):
                await tokens.check(forged)
            assert await tokens.check(good)
        assert provider.asked.count("/jwks") == minutes
        clock.now += KEYS_AGAIN_S


async def test_a_key_that_was_withdrawn_is_good_for_an_hour_at_most(
    provider: SmallProvider, tokens: BearerTokens, clock: Clock
) -> None:
    token = provider.access_token()
    await tokens.check(token)
    provider.rotate("two")
    clock.now += KEYS_KEPT_S
    with pytest.raises(BadBearer):
        await tokens.check(token)


async def test_while_the_provider_is_away_known_keys_go_on_and_others_are_told_so(
    provider: SmallProvider, tokens: BearerTokens, clock: Clock
) -> None:
    known = provider.access_token()
    await tokens.check(known)
    provider.broken = True
    provider.rotate("two")
    clock.now += KEYS_AGAIN_S
    assert await tokens.check(known)
    asked = len(provider.asked)
    for _ in range(5):
        with pytest.raises(ProviderAway, match=f"{provider.issuer} does not answer"):
            await tokens.check(provider.access_token())
    assert len(provider.asked) == asked + 1, "one that is away is let be for a while"
    provider.broken = False
    clock.now += AWAY_S
    assert await tokens.check(provider.access_token())


async def test_a_provider_at_whose_address_nobody_answers_is_away(clock: Clock) -> None:
    nobody = SmallProvider(f"http://127.0.0.1:{free_port()}")
    tokens = BearerTokens(nobody.issuer, CLIENT_ID, "workstations", outside, clock)
    with pytest.raises(ProviderAway, match="ConnectError"):
        await tokens.check(nobody.access_token())


async def test_one_that_says_it_is_another_is_not_believed(
    provider: SmallProvider, tokens: BearerTokens
) -> None:
    token = provider.access_token()
    provider.issuer = "https://evil.example"
    with pytest.raises(ProviderAway, match=r"says that it is https://evil\.example"):
        await tokens.check(token)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "text",
        {"issuer": "ISSUER"},
        {"issuer": "ISSUER", "jwks_uri": "nowhere"},
        {"issuer": "ISSUER", "jwks_uri": "http://[::"},
        {"issuer": "ISSUER", "jwks_uri": None},
    ],
)
async def test_an_answer_of_another_shape_is_a_provider_that_is_away(answer: Any) -> None:
    issuer = "http://127.0.0.1:1"

    def shaped(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=json.dumps(answer).replace("ISSUER", issuer))

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(shaped))

    tokens = BearerTokens(issuer, CLIENT_ID, "workstations", client)
    with pytest.raises(ProviderAway):
        await tokens.check(SmallProvider(issuer).access_token())


@pytest.mark.parametrize(
    "keys", [{}, {"keys": []}, {"keys": None}, {"keys": [{"kty": "RSA"}]}, {"keys": ["x"]}, [], 1]
)
async def test_keys_of_another_shape_are_none(keys: Any) -> None:
    issuer = "http://127.0.0.1:1"

    def shaped(asked: httpx.Request) -> httpx.Response:
        found = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
        return httpx.Response(200, json=keys if asked.url.path == "/jwks" else found)

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(shaped))

    tokens = BearerTokens(issuer, CLIENT_ID, "workstations", client)
    with pytest.raises(ProviderAway):
        await tokens.check(SmallProvider(issuer).access_token())


async def test_keys_that_do_not_come_over_https_are_not_believed() -> None:
    issuer = "https://login.example"

    def found(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"issuer": issuer, "jwks_uri": "http://login.example/k"})

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(found))

    tokens = BearerTokens(issuer, CLIENT_ID, "workstations", client)
    with pytest.raises(ProviderAway, match="without https"):
        await tokens.check(SmallProvider(issuer).access_token())


async def test_an_issuer_with_a_slash_at_its_end_is_the_same() -> None:
    provider = SmallProvider("https://login.example/")

    def found(asked: httpx.Request) -> httpx.Response:
        keys = {"keys": [provider.key.as_dict(private=False)]}
        known = {"issuer": provider.issuer, "jwks_uri": "https://login.example/keys"}
        return httpx.Response(200, json=keys if asked.url.path == "/keys" else known)

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(found))

    tokens = BearerTokens("https://login.example", CLIENT_ID, "workstations", client)
    assert (await tokens.check(provider.access_token())).name == "Åse"
