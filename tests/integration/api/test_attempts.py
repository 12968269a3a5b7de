"""The paths of our own runners: grants, results, outputs, and who may speak for an attempt."""

import asyncio
import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.runner import registry
from hpc.runner.client import is_refusal
from tests.support.callbacks import Cluster, bearer, cluster_config, until
from tests.support.events_server import EventsServer
from tests.support.small_disk import small_disk
from track.commands.attention import ZEROS
from track.commands.switches import set_attention
from track.schema.database import transact
from track.schema.states import State

START = {"native_id": "n1", "nonce": "x"}


def complete(**result: Any) -> dict[str, Any]:
    return START | {"result": result}


async def test_a_start_is_granted_with_all_a_module_needs(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "derivative")
    barcode = await cluster.world.job_id("g", "barcode")
    await cluster.world.sql(
        """UPDATE track.job SET details = '{"box": [1]}' WHERE id = :i""", i=barcode
    )
    grant = await cluster.start(attempt)
    assert (grant["attempt"], grant["module"], grant["stage"]) == (attempt, "derive", "derivative")
    assert grant["params"] == {"ppi": [400, 72]}
    assert grant["children"] == [{"ppi": 400, "guid": "g_400"}, {"ppi": 72, "guid": "g_72"}]
    assert grant["results"] == {"barcode": {"box": [1]}}
    assert grant["metadata"]["institution"] == "NHMD"
    assert grant["inputs"] == [
        {
            "name": "g.tif",
            "crc32": 4_000_000_000,
            "size_bytes": 12,
            "url": "https://ars.test/file_proxy/api/assetfiles/NHMD/Vascular%20plants/g/g.tif",
        }
    ]
    assert (grant["uploads"], grant["parent_guid"]) == ([], None)
    assert grant["ars"] == {"token": "ars-token", "expires_in": 290}
    assert (await cluster.job("g", "derivative"))["state"] == State.RUNNING
    assert (await cluster.attempt(attempt))["started_by"] == "n1"


async def test_black_that_a_person_accepted_is_granted_to_the_modules_of_that_asset_alone(
    cluster: Cluster,
) -> None:
    zeros, blurred = f"a.tif (CRC-32 00000001): 2 of its 3 strips are {ZEROS}; …", "blurred"
    for guid, stage, said in (
        ("f", "assetLoader", zeros),
        ("g", "derivative", zeros),
        ("h", "derivative", blurred),
    ):
        await cluster.asset(guid)
        for note in (said, None):
            await transact(
                cluster.world.engine,
                set_attention,
                guid,
                note,
                actor="person:ib",
            )
        granted = await cluster.start(await cluster.queue(guid, stage))
        assert granted["accept_black"] is (said == zeros)
        # Not as a parameter: a module refuses one that it does not take.
        assert set(granted["params"]) <= set(registry.load(granted["module"]).takes)


async def test_the_same_pair_is_granted_again_and_any_other_is_not(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    first = await cluster.start(attempt)
    assert await cluster.start(attempt) == first
    await cluster.own(attempt, "start", {"native_id": "n1", "nonce": "requeued"}, 409)
    await cluster.own(attempt, "start", {"native_id": "n2", "nonce": "x"}, 409)
    assert (await cluster.attempt(attempt))["nonce"] == "x"


async def test_of_many_starts_at_once_one_pair_is_granted_every_time(cluster: Cluster) -> None:
    """The same pair, sent twice at once, must not be told that it is another's."""
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    head = bearer(attempt)
    bodies = [{"native_id": f"n{n % 3}", "nonce": "x"} for n in range(12)]
    url = f"/attempts/{attempt}/start"
    answers = await asyncio.gather(
        *(cluster.http.post(url, json=body, headers=head) for body in bodies)
    )
    winner = (await cluster.attempt(attempt))["started_by"]
    for body, answer in zip(bodies, answers, strict=True):
        assert answer.status_code == (200 if body["native_id"] == winner else 409), answer.text


async def test_a_result_and_a_failure_at_once_end_an_attempt_once(cluster: Cluster) -> None:
    for n in range(6):
        guid = f"g{n}"
        await cluster.asset(guid)
        attempt = await cluster.queue(guid, "assetLoader")
        await cluster.start(attempt)
        fail = START | {"fail_status": "RETRY", "message": "m"}
        await asyncio.gather(
            cluster.own(attempt, "complete", complete()), cluster.own(attempt, "fail", fail)
        )
        outcome = (await cluster.attempt(attempt))["outcome"]
        state = (await cluster.job(guid, "assetLoader"))["state"]
        assert (outcome, state) in [("done", State.RETURNED), ("failed", State.READY)]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE metadata.document SET body = '{}'", "institution"),
        ("TRUNCATE metadata.document CASCADE", "no metadata is known of asset g"),
    ],
)
async def test_a_start_whose_asset_cannot_be_read_is_a_start_all_the_same(
    cluster: Cluster, harm: str, said: str
) -> None:
    """Else the runners of three such assets would have their site looked upon as broken."""
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    await cluster.world.sql(harm)
    assert said in (await cluster.own(attempt, "start", START, 422))["error"]
    assert (await cluster.job("g", "assetLoader"))["state"] == State.RUNNING


async def test_a_start_without_its_grant_is_none(cluster: Cluster) -> None:
    """The connection is lost between the two; what follows finds nothing done."""
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with cluster.engine.begin() as other:
        await other.execute(text("LOCK TABLE metadata.document"))
        asked = asyncio.create_task(cluster.start(attempt))
        (held,) = await until(lambda: cluster.rows(waiting))
        assert (await cluster.job("g", "assetLoader"))["state"] == State.QUEUED
        ended = text("SELECT pg_terminate_backend(:pid, 10000)")
        assert (await other.execute(ended, held)).scalar_one()
        await until(lambda: cluster.rows(waiting))
    assert (await asked)["attempt"] == attempt
    assert (await cluster.job("g", "assetLoader"))["state"] == State.RUNNING
    assert await cluster.inbox("start") == ["applied"]


async def test_an_upload_is_given_its_files_and_where_they_go(cluster: Cluster) -> None:
    await cluster.asset("p")
    derive = await cluster.queue("p", "derivative")
    await cluster.start(derive)
    file = {"name": "p_72.jpg", "crc32": 7, "size_bytes": 2_500_000}
    made = {"guid": "p_72", "ppi": 72, "file_format": "jpeg", "payload_type": "thumbnail"}
    await cluster.own(derive, "complete", complete(derivatives=[made | {"file": file}]))
    assert (await cluster.job("p", "derivative"))["declared"] == 1
    child = await cluster.row("SELECT * FROM track.asset WHERE guid = 'p_72'")
    assert (child["parent_guid"], child["size_mb"], child["ppi"]) == ("p", 3, 72)
    attempt = await cluster.queue("p_72", "uploader")
    grant = await cluster.start(attempt)
    (upload,) = grant["uploads"]
    assert (upload["name"], grant["inputs"], grant["parent_guid"]) == ("p_72.jpg", [], "p")
    assert upload["url"].endswith("/NHMD/Vascular%20plants/p_72/p_72.jpg")
    await cluster.own(attempt, "complete", complete(uploaded=[file]))
    (row,) = await cluster.rows("SELECT * FROM track.file WHERE asset_guid = 'p_72'")
    assert row["uploaded_at"] is not None
    assert (await cluster.job("p_72", "uploader"))["state"] == State.RETURNED


async def test_a_job_may_not_claim_another_asset_as_its_child(cluster: Cluster) -> None:
    await cluster.asset("p")
    await cluster.asset("other")
    attempt = await cluster.queue("p", "derivative")
    await cluster.start(attempt)
    file = {"name": "evil.tif", "crc32": 7, "size_bytes": 1}
    made = {"guid": "other", "ppi": 72, "file_format": "tif", "payload_type": "image"}
    await cluster.own(attempt, "complete", complete(derivatives=[made | {"file": file}]))
    assert (await cluster.job("p", "derivative"))["state"] == State.FAILED
    names = await cluster.rows("SELECT name FROM track.file WHERE asset_guid = 'other'")
    assert [row["name"] for row in names] == ["other.tif"]


async def test_a_result_is_applied_once(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    usage = {"seconds": 3.5, "cpu_s": 2.0, "max_rss_mb": 100}
    result = {"metadata": {"tags": {"ocr": "x"}, "status": "y"}, "details": {"n": 1}}
    body = complete(**result, usage=usage, warning="dark")
    assert (await cluster.own(attempt, "complete", body))["applied"] == "applied"
    assert (await cluster.own(attempt, "complete", body))["applied"] == "repeated"
    revision, metadata = await cluster.metadata("g")
    assert (revision, metadata["tags"]["ocr"], metadata["status"]) == (2, "x", None)
    job = await cluster.job("g", "ocr")
    assert (job["state"], job["details"]) == (State.RETURNED, {"n": 1})
    assert job["warning"].startswith("dark; ") and "status" in job["warning"]
    row = await cluster.attempt(attempt)
    assert (row["seconds"], row["max_rss_mb"], row["outcome"]) == (3.5, 100, "done")
    # As it came it is written down once.
    kept = await cluster.row("SELECT payload FROM track.inbox WHERE kind = 'finished'")
    assert kept["payload"]["result"]["details"] == {"n": 1} and row["result"] is None


async def test_a_result_without_news_is_no_revision(cluster: Cluster) -> None:
    await cluster.asset("g", tags={"ocr": "x"})
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    await cluster.own(attempt, "complete", complete(metadata={"tags": {"ocr": "x"}}))
    assert (await cluster.metadata("g"))[0] == 1


@pytest.mark.parametrize(
    ("word", "state", "tries"), [("RETRY", State.READY, 1), ("ERROR", State.FAILED, 0)]
)
async def test_a_failure_gets_the_state_of_its_status(
    cluster: Cluster, word: str, state: State, tries: int
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    body = START | {"fail_status": word, "message": "no memory", "exit_code": 137}
    await cluster.own(attempt, "fail", body)
    job = await cluster.job("g", "ocr")
    assert (job["state"], job["tries"], job["reason"]) == (state, tries, "no memory")
    assert (await cluster.attempt(attempt))["exit_code"] == 137


async def test_an_error_after_a_cancel_was_asked_is_a_cancel(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    await cluster.world.sql("UPDATE track.attempt SET cancel_requested_at = now()")
    await cluster.own(attempt, "fail", START | {"fail_status": "ERROR"})
    assert (await cluster.job("g", "ocr"))["state"] == State.CANCELLED


async def test_the_submitters_call_is_noted_even_after_the_start(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    await cluster.own(attempt, "submitted", {"native_id": "4711_3"})
    assert (await cluster.attempt(attempt))["external_id"] == "4711_3"
    assert (await cluster.job("g", "ocr"))["state"] == State.RUNNING


async def test_an_archive_out_of_reach_uses_no_try_and_the_pauses_grow(cluster: Cluster) -> None:
    await cluster.asset("g")
    exception = "Unreachable\nwith its traceback"
    body = START | {"fail_status": "RETRY", "message": "why", "exception": exception}
    pauses = []
    for _ in range(5):
        await cluster.world.sql("UPDATE track.job SET available_at = now()")
        attempt = await cluster.queue("g", "ocr")
        await cluster.start(attempt)
        assert (await cluster.own(attempt, "fail", body))["applied"] == "applied"
        pauses.append(
            await cluster.row(
                "SELECT CAST(extract(epoch FROM j.available_at - j.updated_at) AS integer) AS s"
                " FROM track.job j JOIN track.stage s ON s.id = j.stage_id WHERE s.key = 'ocr'"
            )
        )
    job = await cluster.job("g", "ocr")
    assert (job["state"], job["tries"], job["reason"]) == (State.READY, 0, "why")
    assert [each["s"] for each in pauses] == [300, 600, 1200, 1800, 1800]
    assert await cluster.row("SELECT lacks FROM track.site WHERE name = 'here'") == {"lacks": {}}


@pytest.mark.parametrize("exception", ["NotPrepared", "ImportError\nTraceback of a library"])
async def test_a_site_that_lacks_a_library_gets_no_more_of_it(
    cluster: Cluster, exception: str
) -> None:
    await cluster.asset("g")
    body = START | {"fail_status": "RETRY", "message": "no rapidocr", "exception": exception}
    attempt = await cluster.queue("g", "ocr")
    site = (await cluster.attempt(attempt))["site"]
    await cluster.start(attempt)
    assert (await cluster.own(attempt, "fail", body))["applied"] == "applied"
    job = await cluster.job("g", "ocr")
    assert (job["state"], job["tries"], job["reason"]) == (State.READY, 0, "no rapidocr")
    row = await cluster.row(f"SELECT lacks FROM track.site WHERE name = '{site}'")
    assert row["lacks"]["ocr"]["why"] == "no rapidocr"


async def test_messages_of_a_superseded_attempt_are_recorded_and_change_nothing(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    first = await cluster.queue("g", "ocr")
    await cluster.start(first)
    await cluster.own(first, "fail", START | {"fail_status": "RETRY"})
    await cluster.world.sql("UPDATE track.job SET available_at = now()")
    await cluster.queue("g", "ocr")
    late = complete(metadata={"tags": {"ocr": "late"}})
    assert (await cluster.own(first, "complete", late))["applied"] == "stale"
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED
    assert (await cluster.metadata("g"))[0] == 1
    assert await cluster.inbox("finished") == ["stale"]
    await cluster.own(first, "start", START, 409)
    await cluster.own(first, "token", {}, 409)


async def test_a_token_is_worth_nothing_a_week_after_its_attempts_end(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    await cluster.own(attempt, "fail", START | {"fail_status": "RETRY"})
    await cluster.world.sql("UPDATE track.attempt SET closed_at = now() - interval '8 days'")
    await cluster.own(attempt, "complete", complete(), 401)
    assert await cluster.inbox("finished") == []


async def test_a_token_of_another_fence_is_stale(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    answer = await cluster.own(attempt, "complete", complete(), fence=9)
    assert answer["applied"] == "stale"
    assert (await cluster.job("g", "ocr"))["state"] == State.RUNNING


@pytest.mark.parametrize("verb", ["start", "token", "submitted", "complete", "fail"])
async def test_without_a_token_of_ones_own_every_call_is_refused(
    cluster: Cluster, verb: str
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    url = f"/attempts/{attempt}/{verb}"
    body = complete() | {"fail_status": "RETRY"}
    forged = {"Authorization": f"Bearer k.{attempt}.1.{'0' * 64}"}
    for status, headers in ((401, {}), (401, forged), (403, bearer(attempt + 1))):
        answer = await cluster.http.post(url, json=body, headers=headers)
        assert answer.status_code == status
        assert is_refusal(status, answer.json(), attempt), "a runner must know it for our no"
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED


async def test_a_message_from_a_job_that_was_not_started_is_refused(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.own(attempt, "complete", complete(), 409)
    await cluster.start(attempt)
    other = complete() | {"nonce": "other"}
    await cluster.own(attempt, "complete", other, 409)
    assert (await cluster.job("g", "ocr"))["state"] == State.RUNNING


async def test_a_missing_field_is_named_and_its_value_not_repeated(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    answer = await cluster.own(attempt, "start", {"native_id": "secret-word"}, 422)
    assert "body.nonce" in answer["error"]
    assert "secret-word" not in str(answer)


async def test_a_number_the_database_cannot_hold_is_422(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    for code in (2**31, -(2**31) - 1, 2**70):
        body = START | {"fail_status": "RETRY", "exit_code": code}
        assert "exit_code" in (await cluster.own(attempt, "fail", body, 422))["error"]
    assert (await cluster.job("g", "ocr"))["state"] == State.RUNNING


async def test_an_oversized_body_is_413_announced_or_not(cluster: Cluster) -> None:
    url, head = "/attempts/1/complete", bearer(1)
    big = b"{" + b" " * 2_000_001

    async def drops() -> Any:
        yield big

    for content in (big, drops()):
        answer = await cluster.http.post(
            url, content=content, headers=head | {"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
        assert is_refusal(413, answer.json(), 1)
        assert "2000000" in answer.json()["error"]


async def put(cluster: Cluster, attempt: int, name: str, data: bytes, **query: int) -> Any:
    query = {"crc32": zlib.crc32(data), "size_bytes": len(data)} | query
    url = f"/attempts/{attempt}/outputs/{name}"
    return await cluster.http.put(url, content=data, params=query, headers=bearer(attempt))


async def test_an_output_is_in_its_place_complete_or_not_at_all(
    cluster: Cluster, tmp_path: Path
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    early = await put(cluster, attempt, "p.jpg", b"data")
    assert early.status_code == 409
    await cluster.start(attempt)
    assert (await put(cluster, attempt, "p.jpg", b"data" * 1_000_000)).status_code == 200
    place = tmp_path / "outputs" / "g" / "ocr" / "p.jpg"
    assert place.read_bytes() == b"data" * 1_000_000
    torn = await put(cluster, attempt, "q.jpg", b"data", size_bytes=5)
    assert (torn.status_code, "q.jpg" in torn.json()["error"]) == (422, True)
    assert "refused" not in torn.json(), "it was hurt on its way, and is sent again"
    again = await put(cluster, attempt, "p.jpg", b"data" * 1_000_000)
    assert again.json() == {"applied": "repeated", "attempt": attempt}
    files = [found.name for found in (tmp_path / "outputs").rglob("*") if found.is_file()]
    assert files == ["p.jpg"]


@pytest.mark.parametrize("name", ["..%2Fx", "%2e%2e", ".hidden", "a%00b", "con.jpg"])
async def test_an_unsafe_name_of_an_output_is_refused(
    cluster: Cluster, tmp_path: Path, name: str
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    assert (await put(cluster, attempt, name, b"x")).status_code in (404, 405, 422)
    assert not list((tmp_path / "outputs").rglob("*.jpg"))


async def test_an_output_that_the_servers_disk_has_no_room_for_is_to_be_sent_again(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "outputs", "1m") as disk:
        async with Cluster.open(engine, cluster_config(database, prefect.url, tmp_path)) as cluster:
            await cluster.asset("g")
            attempt = await cluster.queue("g", "ocr")
            await cluster.start(attempt)
            refused = await put(cluster, attempt, "p.jpg", b"data" * 1_000_000)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "p.jpg cannot be kept just now: No space left" in refused.json()["error"]
            assert [path for path in disk.rglob("*") if path.is_file()] == []
            assert (await put(cluster, attempt, "p.jpg", b"data")).status_code == 200
