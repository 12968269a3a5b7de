"""One call to ARS: the token it carries and what each kind of answer is turned into."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import (
    LocalFile,
    SourceLost,
    TierBusy,
    TierCorrupted,
    TierError,
    TierRefused,
    TierUnauthorised,
    TierUnknown,
)

ADDRESS = ArsAddress("http://ars", "me", "s3cret", "refinery", ("refinery",))
Answer = httpx.Response | Exception
CLOSED = httpx.RemoteProtocolError("Server disconnected without sending a response.")


class Script:
    """Answers tokens by itself and everything else from the given list, in order."""

    def __init__(self, *answers: Answer, lives: float = 300) -> None:
        self.answers = list(answers)
        self.lives = lives
        self.tokens = 0
        self.seen: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            assert parse_qs((await request.aread()).decode())["grant_type"] == [
                "client_credentials"
            ]
            self.tokens += 1
            answer = {"access_token": f"token-{self.tokens}", "expires_in": self.lives}
            return httpx.Response(200, json=answer)
        await request.aread()
        self.seen.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is tried again without a pause."""
    for user in ("token", "wire"):
        monkeypatch.setattr(f"blocks.ars_client.{user}.AGAIN_S", (0.0, 0.0, 0.0))


def client(handler: Callable[[httpx.Request], object]) -> ArsClient:
    return ArsClient(ADDRESS, transport=httpx.MockTransport(handler))


def error(status: int, message: str) -> httpx.Response:
    body = {"type": "Error", "errorCode": "BAD_REQUEST", "errorMessage": message}
    return httpx.Response(status, json=body)


def status(name: str = "METADATA_RECEIVED", share: int | None = None) -> httpx.Response:
    body = {"asset_guid": "g", "parent_guid": "p", "status": name, "share_allocation_mb": share}
    return httpx.Response(200, json=body)


async def test_the_token_is_fetched_once_for_many_calls() -> None:
    script = Script(status(), status())
    async with client(script) as ars:
        await ars.assets.status("g")
        await ars.assets.status("g")
    assert script.tokens == 1
    assert script.seen[1].headers["authorization"] == "Bearer token-1"


async def test_a_token_in_its_last_seconds_is_renewed_before_it_is_used() -> None:
    script = Script(status(), status(), lives=29)
    async with client(script) as ars:
        await ars.assets.status("g")
        await ars.assets.status("g")
    assert script.tokens == 2


async def test_a_token_refused_mid_run_is_renewed_once() -> None:
    script = Script(httpx.Response(401), status())
    async with client(script) as ars:
        found = await ars.assets.status("g")
    assert found is not None
    assert found.parent_guids == ("p",)
    assert script.seen[1].headers["authorization"] == "Bearer token-2"


async def test_tokens_refused_one_after_the_other_are_renewed_each_time(at_once: None) -> None:
    script = Script(*[httpx.Response(401)] * 3, status())
    async with client(script) as ars:
        assert await ars.assets.status("g") is not None
    used = [request.headers["authorization"] for request in script.seen]
    assert used == [f"Bearer token-{n}" for n in (1, 2, 3, 4)]


async def test_tokens_that_are_always_refused_are_named_as_ours_to_correct(at_once: None) -> None:
    script = Script(*[httpx.Response(401)] * 5)
    async with client(script) as ars:
        with pytest.raises(TierUnauthorised, match="ArsArchive block"):
            await ars.assets.status("g")
    assert script.answers == []


async def test_a_keycloak_that_refuses_once_is_asked_again(at_once: None) -> None:
    script, asked = Script(status()), []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            asked.append(request)
            if len(asked) == 1:
                return httpx.Response(401, json={"error": "unauthorized_client"})
        return await script(request)

    async with client(answer) as ars:
        assert await ars.assets.status("g") is not None
    assert len(asked) == 2


async def test_a_wrong_secret_is_unauthorised_and_not_repeated_in_the_message(
    at_once: None,
) -> None:
    async with client(lambda _: httpx.Response(401, json={"error": "invalid_client"})) as ars:
        with pytest.raises(TierUnauthorised) as refused:
            await ars.token()
    assert "s3cret" not in str(refused.value)


async def test_a_wrong_secret_is_tried_once_for_all_who_wait_for_a_token(at_once: None) -> None:
    asked = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401, json={"error": "invalid_client"})

    async with client(refuse) as ars:
        outcomes = await asyncio.gather(*(ars.token() for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TierUnauthorised}
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (error(400, "Status cannot be null"), TierRefused),
        (error(403, "Asset g is already being processed"), TierBusy),
        (error(403, "Workstation [OUT_OF_SERVICE] is marked as out of service"), TierRefused),
        (error(409, "Asset has active large file uploads"), TierBusy),
        (httpx.Response(500, text="oops"), TierUnknown),
        (httpx.Response(504, text="<html>Gateway Time-out</html>"), TierUnknown),
        (httpx.Response(503), TierBusy),
        (httpx.Response(200, text="<html>log in</html>"), TierUnknown),
        (httpx.ReadTimeout("slow"), TierUnknown),
        (CLOSED, TierUnknown),
        (httpx.ConnectError("refused"), TierBusy),
    ],
)
async def test_each_answer_to_a_create_has_its_own_name(
    answer: Answer, meaning: type[TierError]
) -> None:
    async with client(Script(answer)) as ars:
        with pytest.raises(TierError) as raised:
            await ars.assets.create({"asset_guid": "g"}, 10)
    assert type(raised.value) is meaning


LOGIN = "<!DOCTYPE html><html><form action='/login'>Sign in</form></html>"
GATEWAY = [
    httpx.Response(404, html=LOGIN),
    httpx.Response(403, text=LOGIN),
    httpx.Response(400, html=LOGIN),
    httpx.Response(200, html=LOGIN),
    httpx.Response(302, headers={"location": "https://login.example.org/"}),
]
"""What stands before ARS may say; none of it is ARS's way of speaking."""


@pytest.mark.parametrize("answer", GATEWAY, ids=lambda each: str(each.status_code))
async def test_the_word_of_a_gateway_says_nothing_of_an_asset(answer: httpx.Response) -> None:
    async with client(Script(*[answer] * 6)) as ars:
        for read in (ars.assets.status, ars.assets.get, ars.files.listed):
            with pytest.raises(TierBusy):
                await read("g")
        for change in (ars.shares.close("g"), ars.shares.synchronise("g", "w", "p")):
            with pytest.raises(TierUnknown):
                await change
        with pytest.raises(TierUnknown):
            await ars.assets.create({"asset_guid": "g"}, 10)


async def test_a_gateway_that_takes_no_file_so_large_is_a_refusal() -> None:
    async with client(Script(httpx.Response(413, html="<html>too large</html>"))) as ars:
        with pytest.raises(TierRefused):
            await ars.assets.create({"asset_guid": "g"}, 10)


@pytest.mark.parametrize("answer", GATEWAY, ids=lambda each: str(each.status_code))
async def test_the_word_of_a_gateway_is_not_keycloaks(
    at_once: None, answer: httpx.Response
) -> None:
    async with client(lambda _: answer) as ars:
        with pytest.raises(TierBusy, match="token_url"):
            await ars.token()


async def test_a_locked_guid_asks_for_more_patience_than_the_lock_lasts() -> None:
    async with client(Script(error(403, "Asset g is already being processed"))) as ars:
        with pytest.raises(TierBusy) as busy:
            await ars.assets.create({"asset_guid": "g"}, 10)
    assert busy.value.retry_after is not None and busy.value.retry_after > 300


@pytest.mark.parametrize("http_status", [200, 403])
async def test_a_full_disk_is_busy_even_when_the_answer_says_200(http_status: int) -> None:
    info = {"http_allocation_status": "DISK_FULL", "allocated_storage_mb": 0}
    async with client(Script(httpx.Response(http_status, json=info))) as ars:
        with pytest.raises(TierBusy, match="DISK_FULL"):
            await ars.shares.open("g", "i", "c", 10)


async def test_too_small_a_share_is_refused_though_the_answer_says_200() -> None:
    info = {"http_allocation_status": "BAD_REQUEST", "allocation_status_text": "exceeds"}
    async with client(Script(httpx.Response(200, json=info))) as ars:
        with pytest.raises(TierRefused, match="exceeds"):
            await ars.shares.open("g", "i", "c", 10)


async def test_a_read_survives_one_stale_connection() -> None:
    async with client(Script(CLOSED, status())) as ars:
        assert await ars.assets.status("g") is not None


async def test_a_read_that_fails_is_busy_and_never_unknown() -> None:
    async with client(Script(httpx.Response(502))) as ars:
        with pytest.raises(TierBusy):
            await ars.assets.status("g")


async def test_an_unknown_asset_is_none_whichever_way_ars_says_it() -> None:
    async with client(Script(httpx.Response(404), httpx.Response(204))) as ars:
        assert await ars.assets.status("g") is None
        assert await ars.assets.get("g") is None


async def test_closing_a_share_that_is_not_there_is_no_error() -> None:
    gone = httpx.Response(404, json={"http_allocation_status": "SHARE_NOT_FOUND"})
    async with client(Script(gone)) as ars:
        assert await ars.shares.close("g") is False


async def test_the_guard_may_forbid_every_change_and_no_reading() -> None:
    @asynccontextmanager
    async def forbid() -> AsyncIterator[None]:
        raise PermissionError("lease lost")
        yield

    script = Script(status())
    async with ArsClient(ADDRESS, guard=forbid, transport=httpx.MockTransport(script)) as ars:
        await ars.assets.status("g")
        with pytest.raises(PermissionError):
            await ars.shares.synchronise("g", "w", "p")
    assert len(script.seen) == 1


async def test_the_guard_is_held_until_the_answer_is_there() -> None:
    held: list[str] = []

    @asynccontextmanager
    async def guard() -> AsyncIterator[None]:
        held.append("begun")
        yield
        held.append("ended")

    def answer(request: httpx.Request) -> httpx.Response:
        if "token" not in request.url.path:
            held.append(request.method)
        return script(request)

    script = Script(httpx.Response(204))
    async with ArsClient(ADDRESS, guard=guard, transport=httpx.MockTransport(answer)) as ars:
        await ars.shares.synchronise("g", "w", "p")
    assert held == ["begun", "POST", "ended"]


def local(tmp_path: Path, content: bytes = b"a specimen" * 200_000) -> LocalFile:
    path = tmp_path / "Ærø.tif"
    path.write_bytes(content)
    return LocalFile(
        path=path,
        name=path.name,
        crc32=zlib.crc32(content),
        size_bytes=len(content),
        mime="image/tiff",
    )


def echoed(crc: int) -> httpx.Response:
    return httpx.Response(200, json={"expected_crc": crc, "actual_crc": crc, "responseCode": 200})


async def test_an_upload_carries_its_checksum_its_size_and_its_real_type(tmp_path: Path) -> None:
    file = local(tmp_path)
    script = Script(echoed(file.crc32))
    async with client(script) as ars:
        await ars.files.upload("g", "NHMD", "Vascular plants", file)
    sent = script.seen[0]
    assert dict(sent.url.params) == {"crc": str(file.crc32), "file_size_mb": "2"}
    assert sent.headers["content-type"] == "image/tiff"
    assert sent.headers["content-length"] == str(file.size_bytes)
    assert "transfer-encoding" not in sent.headers
    assert sent.content == file.path.read_bytes()


async def test_an_upload_repeated_after_401_sends_the_whole_file_again(tmp_path: Path) -> None:
    file = local(tmp_path)
    script = Script(httpx.Response(401), echoed(file.crc32))
    async with client(script) as ars:
        await ars.files.upload("g", "i", "c", file)
    assert script.seen[1].content == file.path.read_bytes()


async def test_bytes_damaged_on_the_way_are_named(tmp_path: Path) -> None:
    file = local(tmp_path)
    damaged = httpx.Response(507, json={"expected_crc": file.crc32, "actual_crc": 1})
    async with client(Script(damaged)) as ars:
        with pytest.raises(TierCorrupted):
            await ars.files.upload("g", "i", "c", file)


@pytest.mark.parametrize("change", ["missing", "truncated"])
async def test_a_source_that_changed_is_refused_before_a_byte_is_sent(
    tmp_path: Path, change: str
) -> None:
    file = local(tmp_path)
    if change == "missing":
        file.path.unlink()
    else:
        file.path.write_bytes(b"short")
    script = Script()
    async with client(script) as ars:
        with pytest.raises(SourceLost, match="ingest it again"):
            await ars.files.upload("g", "i", "c", file)
    assert script.seen == []


async def test_a_download_takes_its_name_only_when_it_is_right(tmp_path: Path) -> None:
    file = local(tmp_path)
    content = file.path.read_bytes()
    to = tmp_path / "fetched.tif"
    right, wrong = httpx.Response(200, content=content), httpx.Response(200, content=content[:-1])
    async with client(Script(wrong, right)) as ars:
        with pytest.raises(TierCorrupted):
            await ars.files.download("g", "i", "c", file, to)
        assert sorted(tmp_path.iterdir()) == [file.path]
        await ars.files.download("g", "i", "c", file, to)
    assert to.read_bytes() == content


async def test_a_download_cut_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise httpx.ReadError("reset by peer")

    file = local(tmp_path)
    async with client(Script(httpx.Response(200, content=half()))) as ars:
        with pytest.raises(TierBusy):
            await ars.files.download("g", "i", "c", file, tmp_path / "fetched.tif")
    assert sorted(tmp_path.iterdir()) == [file.path]


async def test_file_rows_are_read_by_their_name_within_the_asset() -> None:
    row = {
        "path": "/NHMD/Vascular plants/g/sub/Ærø.tif",
        "sizeBytes": 7,
        "crc": 4294967295,
        "deleteAfterSync": False,
        "syncStatus": "NEW_FILE",
    }
    async with client(Script(httpx.Response(200, json=[row]))) as ars:
        (found,) = await ars.files.listed("g")
    assert (found.name, found.crc32, found.synchronised) == ("sub/Ærø.tif", 4294967295, False)


async def test_an_update_that_names_another_asset_is_never_sent() -> None:
    script = Script()
    async with client(script) as ars:
        with pytest.raises(TierRefused):
            await ars.assets.update("g", {"asset_guid": "other"})
    assert script.seen == []


async def test_specimens_are_addressed_by_barcode_or_by_pid() -> None:
    body = {"institution": "NHMD", "collection": "Vascular plants", "barcode": "7"}
    script = Script(httpx.Response(404))
    async with client(script) as ars:
        assert await ars.assets.specimen(body) is None
    old = ArsAddress("http://ars", "me", "s", "u", ("u",), profile="v2_6")
    script_old = Script(httpx.Response(200, text=json.dumps(body)))
    async with ArsClient(old, transport=httpx.MockTransport(script_old)) as ars:
        assert await ars.assets.specimen(body) == body
    assert script.seen[0].url.raw_path == (
        b"/ars/api/v1/institutions/NHMD/collections/Vascular%20plants/specimen/7"
    )
    assert script_old.seen[0].url.raw_path == b"/ars/api/v1/specimens/NHMD.Vascular%20plants.7"


async def test_the_parts_of_ars_that_are_down_are_named() -> None:
    def health(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503 if "file_proxy" in request.url.path else 200)

    async with client(health) as ars:
        assert await ars.silent_parts() == ["file proxy"]
