"""Sending to people: a real mail server and web hook, and what an address that is away costs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.abstract import NotificationError
from pydantic import SecretStr, ValidationError

from blocks import alarm_addresses
from blocks.alarm_addresses import AlarmAddresses
from blocks.alarm_delivery import MARKDOWN, faulty, split
from refinery.alarm_test import send_test
from refinery.settings import Settings, SettingsError
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


async def test_who_does_not_take_it_is_sent_it_again_and_nobody_else(
    who: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_addresses, "PAUSES_S", (0.2, 0.2, 0.2))
    away = f"json://127.0.0.1:{free_port()}/hook"
    block = block_of(away, *who.urls)
    with block.raise_on_failure(), pytest.raises(NotificationError) as refused:
        await block.notify("why", "site here is degraded")
    assert away in refused.value.log
    (again,) = alarm_addresses._sending_again
    async with asyncio.timeout(30):
        await again
    assert len(who.mails) == len(who.posts) == 1


async def test_an_address_that_comes_back_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_addresses, "PAUSES_S", (0.5, 0.5))
    port = free_port()
    await block_of(f"json://127.0.0.1:{port}/hook").notify("why", "site here is degraded")
    (again,) = alarm_addresses._sending_again
    with people(port) as late:
        async with asyncio.timeout(30):
            await again
    assert late.posted() == ["site here is degraded"]


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
