"""A small OpenID Connect provider: it knows one person and vouches for them as it is told."""

import base64
import hashlib
import json
import secrets
import time
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Form, Request
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.responses import JSONResponse, RedirectResponse, Response

CLIENT_ID, CLIENT_SECRET = "board", "the board's secret"


class SmallProvider:
    """The provider as an application, `app`; whoever comes is `claims`.

    Attributes:
        claims: what a token holds beside what it must; a value of None leaves a claim out.
        header: of a token.
        signing: the key that tokens are signed with; others may believe another.
        grants: what was sent away with a code, by the code.
        broken: answer every request with 500.
        asked: the paths of all requests.
        without_token: send no id_token.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"preferred_username": "Åse", "roles": ["curators"]}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.key: RSAKey | ECKey
        self.key = self.signing = RSAKey.generate_key(2048, {"kid": "one"})
        self.grants: dict[str, dict[str, str]] = {}
        self.broken = False
        self.asked: list[str] = []
        self.without_token = False
        self.app = FastAPI()
        self.app.middleware("http")(self._breaking)
        self.app.get("/.well-known/openid-configuration")(self._discovery)
        self.app.get("/authorize")(self._authorize)
        self.app.post("/token")(self._token)
        self.app.get("/jwks")(self._keys)

    def access_token(self, **given: Any) -> str:
        """An access token as Keycloak writes one; a claim of None is left out."""
        usual = {"aud": "account", "azp": CLIENT_ID, "typ": "Bearer"}
        return self._signed(usual | self.claims | given)

    def rotate(self, kid: str) -> None:
        """Publish another key instead, and sign with it."""
        self.key = self.signing = RSAKey.generate_key(2048, {"kid": kid})
        self.header["kid"] = kid

    async def _breaking(self, request: Request, answer: Any) -> Response:
        self.asked.append(request.url.path)
        return Response("broken", 500) if self.broken else await answer(request)

    async def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    async def _keys(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split() and asked["client_id"] == CLIENT_ID
        self.grants[code := secrets.token_hex(8)] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    async def _token(
        self,
        request: Request,
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()] = "",
    ) -> Response:
        shown = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self.grants.pop(code, None)
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {shown}"
            or redirect_uri != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer = {"access_token": secrets.token_hex(8), "token_type": "Bearer", "expires_in": 60}
        if not self.without_token:
            answer["id_token"] = self._id_token(asked["nonce"])
        return JSONResponse(answer)

    def _id_token(self, nonce: str) -> str:
        return self._signed({"aud": CLIENT_ID, "nonce": nonce} | self.claims)

    def _signed(self, given: dict[str, Any]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "sub": "1", "iat": now, "exp": now + 300}
        claims = {k: v for k, v in (claims | given).items() if v is not None}
        if self.header["alg"] == "none":  # which the library will not write without a warning
            parts = (json.dumps(part).encode() for part in (self.header, claims))
            return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts) + "."
        return jwt.encode(self.header, claims, self.signing, algorithms=["RS256", "ES256", "HS256"])
