"""Tokens as Keycloak issues them, and what the two services say to bad ones."""

import jwt
import pytest

from tests.integration.demo.ars.stand_in import SECRET, Archive, asset

TOKEN = "/keycloak/realms/dassco/protocol/openid-connect/token"
CERTS = "/keycloak/realms/dassco/protocol/openid-connect/certs"


def grant(archive: Archive, **form: str) -> dict[str, object]:
    fields = {"grant_type": "client_credentials", "client_id": "specimen-refinery"}
    answer = archive.http.post(TOKEN, data=fields | {"client_secret": SECRET} | form)
    return {"code": answer.status_code, **answer.json()}


def test_a_token_is_an_rs256_jwt_that_the_published_key_verifies(archive: Archive) -> None:
    answer = grant(archive, scope="openid")
    assert answer["expires_in"] == 300
    assert answer["token_type"] == "Bearer"
    assert answer["refresh_expires_in"] == 0
    assert "id_token" in answer
    token = str(answer["access_token"])
    [key] = archive.http.get(CERTS).json()["keys"]
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": key["kid"], "typ": "JWT"}
    # Another test may have pushed the archive's clock ahead of this machine's.
    claims = jwt.decode(
        token,
        jwt.PyJWK(key).key,
        algorithms=["RS256"],
        audience="account",
        options={"verify_iat": False},
    )
    assert claims["realm_access"]["roles"] == ["service-user"]
    assert claims["preferred_username"] == "service-account-specimen-refinery"
    assert claims["iss"] == f"{archive.config.base_url}/keycloak/realms/dassco"


@pytest.mark.parametrize(
    ("form", "code", "error"),
    [
        ({"client_secret": "wrong"}, 401, "unauthorized_client"),
        ({"client_id": "nobody"}, 401, "unauthorized_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
    ],
)
def test_a_wrong_grant_is_refused(
    archive: Archive, form: dict[str, str], code: int, error: str
) -> None:
    answer = grant(archive, **form)
    assert (answer["code"], answer["error"]) == (code, error)


def test_the_client_may_sign_in_by_basic_authentication(archive: Archive) -> None:
    form = {"grant_type": "client_credentials"}
    answer = archive.http.post(TOKEN, data=form, auth=("specimen-refinery", SECRET))
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/keycloak/health", "/ars/actuator/health"])
def test_each_service_says_that_it_is_up(archive: Archive, path: str) -> None:
    assert archive.http.get(path).json()["status"] == "UP"


def test_the_file_proxys_health_tells_the_free_bytes_of_the_disk(archive: Archive) -> None:
    health = archive.http.get("/file_proxy/api/actuator/health").json()
    assert health["components"]["diskSpace"]["details"]["free"] > 10_000_000


@pytest.mark.parametrize("path", ["/ars/api/v1/assets/status/x", "/file_proxy/api/assets/x/files"])
def test_a_bad_token_gets_401_with_an_empty_body(archive: Archive, path: str) -> None:
    answer = archive.http.get(path, headers={"Authorization": "Bearer not.a.token"})
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_no_token_is_403_where_a_role_is_needed_and_401_where_any_token_would_do(
    archive: Archive,
) -> None:
    assert archive.ars("GET", "/assets/status/x", by=None).status_code == 403
    answer = archive.proxy("GET", "/assetfiles/NHMD/Vascular plants/x/", by=None)
    assert answer.status_code == 401
    assert answer.json()["errorCode"] == "UNAUTHORIZED"


def test_a_token_expires_by_the_archives_clock(archive: Archive) -> None:
    archive.forget_tokens()
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 204
    archive.sim("POST", "/clock", json={"seconds": 200})
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 204
    archive.sim("POST", "/clock", json={"seconds": 100})
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 401
    archive.forget_tokens()
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 204


def test_revoked_tokens_are_refused_and_new_ones_work(archive: Archive) -> None:
    archive.token()
    archive.sim("POST", "/tokens/revoke")
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 401
    archive.forget_tokens()
    assert archive.ars("GET", "/assetmetadata/nobody").status_code == 204


@pytest.mark.parametrize(
    ("by", "method", "path", "code"),
    [
        ("stranger", "GET", "/ars/api/v1/assetmetadata/x", 403),
        ("plain-user", "GET", "/ars/api/v1/assetmetadata/x", 403),
        ("plain-user", "GET", "/ars/api/v1/assets/status/x", 404),
        ("developer", "PUT", "/ars/api/v1/assetmetadata/x/unlock", 403),
        ("stranger", "GET", "/ars/api/v1/assetmetadata/x/events", 400),
    ],
)
def test_each_operation_asks_for_its_roles(
    archive: Archive, by: str, method: str, path: str, code: int
) -> None:
    assert archive.call(method, path, by=by).status_code == code


def test_only_an_administrator_deletes_files(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"leaf")
    path = f"/assetfiles/NHMD/Vascular plants/{guid}/leaf.tif"
    assert archive.proxy("DELETE", path).status_code == 403
    assert archive.proxy("DELETE", path, by="administrator").status_code == 204


def test_a_restricted_asset_needs_the_matching_role(archive: Archive) -> None:
    body = asset(role_restrictions=[{"name": "secret"}])
    path = "/assetmetadata?allocation_mb=1"
    refused = archive.ars("POST", path, json=body)
    assert (refused.status_code, refused.json()["errorMessage"]) == (403, "FORBIDDEN")
    assert archive.ars("POST", path, json=body, by="restricted-writer").status_code == 200
    guid = body["asset_guid"]
    assert archive.ars("GET", f"/assetmetadata/{guid}").status_code == 403
    assert archive.ars("GET", f"/assetmetadata/{guid}", by="restricted-reader").status_code == 200
    share = archive.proxy("GET", f"/assetfiles/NHMD/Vascular plants/{guid}/")
    assert (share.status_code, share.json()["errorCode"]) == (400, "FORBIDDEN")
