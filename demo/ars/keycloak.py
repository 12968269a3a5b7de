"""The part of Keycloak a service account meets: token endpoint, key set, health."""

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse

from demo.ars.store import find
from demo.ars.world import InWorld

router = APIRouter()
_REALM = "/realms/dassco"
_OPENID = f"{_REALM}/protocol/openid-connect"


def secret_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _problem(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)


def _basic_credentials(request: Request) -> tuple[str, str]:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


@router.post(f"{_OPENID}/token")
async def token(
    world: InWorld,
    request: Request,
    grant_type: Annotated[str, Form()] = "",
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
    scope: Annotated[str, Form()] = "",
) -> Response:
    """Grant `client_credentials`; the client signs in by form fields or by Basic."""
    if not grant_type:
        return _problem(400, "invalid_request", "Missing form parameter: grant_type")
    if grant_type != "client_credentials":
        return _problem(400, "unsupported_grant_type", "Unsupported grant_type")
    if not client_id:
        client_id, client_secret = _basic_credentials(request)
    async with world.store.transaction() as db:
        client = await find(db, "client", client_id=client_id)
    known = client["secret_sha256"] if client else ""
    if client is None or not hmac.compare_digest(known, secret_hash(client_secret)):
        return _problem(401, "unauthorized_client", "Invalid client or Invalid client credentials")
    granted = " ".join(dict.fromkeys([*scope.split(), "profile", "email"]))
    return JSONResponse(
        world.tokens.issue(client_id, list(client["roles"]), granted),
        headers={"Cache-Control": "no-store"},
    )


@router.get(f"{_OPENID}/certs")
async def certs(world: InWorld) -> dict[str, Any]:
    return world.tokens.jwks()


@router.get(f"{_REALM}/.well-known/openid-configuration")
async def discovery(world: InWorld) -> dict[str, Any]:
    issuer = world.tokens.issuer
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/protocol/openid-connect/token",
        "jwks_uri": f"{issuer}/protocol/openid-connect/certs",
        "grant_types_supported": ["client_credentials"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


@router.get("/health")
async def health() -> dict[str, Any]:
    return {"status": "UP", "checks": []}
