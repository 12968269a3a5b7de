"""Sending to people: a real mail server and web hook, and what an address that is away costs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.abstract import NotificationError
from pydantic import SecretStr, ValidationError

from blocks import alarm_queue
from blocks.alarm_addresses import AlarmAddresses
from blocks.alarm_delivery import MARKDOWN, deliver, faulty, split
from blocks.alarm_queue import queue_of
from refinery.alarm_test import send_test
from refinery.settings import Settings, SettingsError
from schemas.backoff import Backoff
from tests.support.people import People, people
from tests.support.serving import free_port


@pytest.fixture(scope="module")
def served() -> Iterator[People]:
    with people() as found:
        yield found


@pytest.fixture
def who(served: People) -> People:
    served.mails.clear()
    served.posts.clear()
    return served


def block_of(*urls: str) -> AlarmAddresses:
    return AlarmAddresses(urls=SecretStr("\n".join(urls)))


async def test_every_address_is_sent_the_message_in_its_own_markup(who: People) -> None:
    body = "Why: <script>x</script> & *so*\nIt is so since 14:02."
    await block_of(*who.urls).notify(body, "site here is degraded (since 14:02)")
    assert (who.mailed(), who.posted()) == (["site here is degraded"], ["site here is degraded"])
    assert who.posts[0]["message"] == body
    assert "&lt;script&gt;" in who.read(0, "html") and "<script>" not in who.read(0, "html")


async def over(block: AlarmAddresses) -> None:
    """Wait until nothing is sent again any more."""
    async with asyncio.timeout(30):
        for url in split(block.urls.get_secret_value()):
            if (task := queue_of(url).retrying) is not None:
                await task


async def test_who_does_not_take_it_is_sent_it_again_and_nobody_else(
    who: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alarm_queue, "PAUSES", Backoff(0.1, 0.1))
    monkeypatch.setattr(alarm_queue, "GIVE_UP_S", 0.5)
    port = free_port()
    block = block_of(f"json://name:password@127.0.0.1:{port}/hook", *who.urls)
    with block.raise_on_failure(), pytest.raises(NotificationError) as refused:
        await block.notify("why", "site here is degraded")
    await over(block)
    assert len(who.mails) == len(who.posts) == 1
    for words in (refused.value.log, caplog.text):
        assert str(port) in words and "onnection error" in words and "password" not in words
    assert "never took 'site here is degraded'" in caplog.text


async def test_what_an_address_missed_comes_once_and_before_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm_queue, "PAUSES", Backoff(1.0, 1.0))
    port = free_port()
    block = block_of(f"json://127.0.0.1:{port}/hook")
    await block.notify("why", "archive ars is down")
    await block.notify("why", "site here is degraded")
    with people(port) as late:
        await block.notify("why", "archive ars is up again")
        await over(block)
    said = ["archive ars is down", "site here is degraded", "archive ars is up again"]
    assert late.posted() == said


async def test_an_address_that_comes_back_is_told_without_anything_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm_queue, "PAUSES", Backoff(0.5, 0.5))
    port = free_port()
    block = block_of(f"json://127.0.0.1:{port}/hook")
    await block.notify("why", "site here is degraded")
    with people(port) as late:
        await over(block)
    assert late.posted() == ["site here is degraded"]


async def test_a_message_that_is_never_taken_does_not_hold_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm_queue, "PAUSES", Backoff(0.1, 0.1))
    with people(refused="too long") as who:
        block = block_of(who.urls[1])
        await block.notify("why", "this is too long")
        await block.notify("why", "site here is degraded")
        await asyncio.to_thread(who.until, lambda: bool(who.posted("degraded")))
        monkeypatch.setattr(alarm_queue, "GIVE_UP_S", 0.0)
        await over(block)
    assert who.posted() == ["site here is degraded"]


async def test_what_is_said_of_an_address_is_not_said_of_another(who: People) -> None:
    ports = [free_port() for _ in range(5)]
    urls = [f"json://127.0.0.{n}:{port}/hook" for n, port in enumerate(ports, 1)]
    found = await deliver([*urls, *who.urls], "site here is degraded", "why")
    assert [each.taken for each in found] == [False] * 5 + [True] * 2
    for n, each in enumerate(found[:5], 1):
        assert each.answer.count("onnection error") == 1 and f"127.0.0.{n}" in each.answer


def test_markdown_in_a_reason_is_shown_and_not_obeyed() -> None:
    assert MARKDOWN.sub(r"\\\1", "[x](http://e) **b** <!all>") == (
        r"\[x\]\(http://e\) \*\*b\*\* \<\!all\>"
    )


def test_addresses_may_hold_commas_and_are_parted_by_their_schemes() -> None:
    text = "mailto://a.dk?to=b@c.dk,d@e.dk, json://f/g\nslack://h"
    assert split(text) == ["mailto://a.dk?to=b@c.dk,d@e.dk", "json://f/g", "slack://h"]
    assert split("  ") == []


def test_a_bad_address_is_refused_by_its_number_and_never_shown(
    tmp_path: Path, who: People
) -> None:
    bad = "nonsense://secret"
    assert "address 2 of 2" in (faulty([who.urls[0], bad]) or "")
    with pytest.raises(ValidationError, match="address 1 of 1"):
        block_of(bad)
    with pytest.raises(SettingsError, match=r"REFINERY_ALARM_URLS: .*address 2 of 2") as refused:
        Settings.load(tmp_path, {"REFINERY_ALARM_URLS": f"{who.urls[0]} {bad}"})
    assert "secret" not in str(refused.value)


def test_a_test_message_says_what_each_address_answered(tmp_path: Path, who: People) -> None:
    port = free_port()
    urls = f"{who.urls[0]} json://name:password@127.0.0.1:{port}/hook"
    settings = Settings.load(tmp_path, {"REFINERY_ALARM_URLS": urls})
    taken, lost = send_test(settings)
    assert taken.taken and who.mailed() == ["a test of the refinery's alarms"]
    assert not lost.taken and str(port) in lost.shown and "password" not in lost.shown
    assert "onnection error" in lost.answer
    with pytest.raises(SettingsError, match="alarm_urls is not set"):
        send_test(Settings.load(tmp_path, {}))
