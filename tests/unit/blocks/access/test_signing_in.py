"""Signing in: right and wrong, how often, and that a refusal tells nothing."""

import asyncio
import logging
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from blocks.access.passwords import Passwords, UnfitPassword, check_new_password
from blocks.access.signing_in import (
    ACCOUNT_BURST,
    ADDRESS_BURST,
    LocalLogin,
    TooManyLogins,
    WrongLogin,
)
from blocks.access.users import BrokenUsersFile, LocalUser, Role, UsersFile

HERE = ip_address("192.0.2.1")
ELSEWHERE = ip_address("192.0.2.2")
GOOD = "horse bättery"


class CountingHasher(PasswordHasher):
    """A quick hasher that counts what it compares."""

    compared = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.compared += 1
        return super().verify(hash, password)


class StoppedClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def login(tmp_path: Path, hasher: CountingHasher, clock: StoppedClock) -> LocalLogin:
    users = UsersFile(tmp_path / "users.toml")
    hashed = Passwords(hasher).hashed(GOOD)
    users.add(LocalUser(name="Åse", role=Role.OPERATOR, password=hashed))
    users.add(LocalUser(name="bo", role=Role.READER, password=hashed, disabled=True))
    return LocalLogin(users, Passwords(hasher), clock)


async def test_the_right_password_lets_in_however_it_is_composed(login: LocalLogin) -> None:
    for name, password in (("Åse", GOOD), ("åse", "horse ba\u0308ttery")):
        assert (await login.check(name, password, HERE)).role is Role.OPERATOR


@pytest.mark.parametrize(
    ("name", "password"),
    [("Åse", "wrong"), ("Åse", ""), ("nobody", GOOD), ("", ""), ("bo", GOOD), ("bo", "wrong"),
     ("Åse", GOOD + "x" * 100_000), ("Åse", "\ud800"), ("\ud800", GOOD)],
)  # fmt: skip
async def test_every_refusal_says_the_same_and_costs_one_comparison(
    login: LocalLogin, hasher: CountingHasher, name: str, password: str
) -> None:
    with pytest.raises(WrongLogin, match=r"^the name or the password is wrong$"):
        await login.check(name, password, HERE)
    assert hasher.compared == 1


async def test_wrong_passwords_for_a_name_are_bounded_from_wherever_they_come(
    login: LocalLogin, hasher: CountingHasher, clock: StoppedClock
) -> None:
    for n in range(ACCOUNT_BURST):
        with pytest.raises(WrongLogin):
            await login.check("ÅSE" if n % 2 else "åse", "wrong", ip_address(n))
    with pytest.raises(TooManyLogins, match="wait 30 s") as caught:
        await login.check("Åse", GOOD, HERE)
    assert caught.value.wait_s == 30 and hasher.compared == ACCOUNT_BURST
    clock.now += 30.5
    assert (await login.check("Åse", GOOD, HERE)).name == "Åse"


async def test_wrong_names_from_an_address_are_bounded(
    login: LocalLogin, clock: StoppedClock
) -> None:
    for n in range(ADDRESS_BURST):
        with pytest.raises(WrongLogin):
            await login.check(f"name {n}", "wrong", HERE)
    with pytest.raises(TooManyLogins, match="wait 5 s"):
        await login.check("Åse", GOOD, HERE)
    assert await login.check("Åse", GOOD, ELSEWHERE)
    clock.now += 5.5
    assert await login.check("Åse", GOOD, HERE)


async def test_a_whole_ipv6_network_counts_as_one_address(login: LocalLogin) -> None:
    for n in range(ADDRESS_BURST):
        with pytest.raises(WrongLogin):
            await login.check(f"name {n}", "wrong", ip_address(f"2001:db8::{n:x}"))
    with pytest.raises(TooManyLogins):
        await login.check("Åse", GOOD, ip_address("2001:db8::ffff:1"))
    assert await login.check("Åse", GOOD, ip_address("2001:db8:0:1::1"))


async def test_right_logins_are_not_counted(login: LocalLogin) -> None:
    for _ in range(ADDRESS_BURST + 1):
        await login.check("Åse", GOOD, HERE)


async def test_a_broken_file_lets_nobody_in(login: LocalLogin) -> None:
    login.users.path.write_text("[[")
    with pytest.raises(BrokenUsersFile):
        await login.check("Åse", GOOD, HERE)


async def test_a_hash_of_older_parameters_is_renewed_at_login(login: LocalLogin) -> None:
    stronger = CountingHasher(time_cost=2, memory_cost=8, parallelism=1)
    before = login.users.find("Åse")
    user = await LocalLogin(login.users, Passwords(stronger)).check("Åse", GOOD, HERE)
    assert before and user.password != before.password and "t=2" in user.password
    assert login.users.find("Åse") == user
    assert await LocalLogin(login.users, Passwords(stronger)).check("Åse", GOOD, HERE) == user


async def test_a_login_succeeds_when_its_new_hash_cannot_be_written(
    login: LocalLogin, caplog: pytest.LogCaptureFixture
) -> None:
    (login.users.path.parent / "users.toml.new").mkdir()
    stronger = CountingHasher(time_cost=2, memory_cost=8, parallelism=1)
    assert await LocalLogin(login.users, Passwords(stronger)).check("Åse", GOOD, HERE)
    assert "the hash of 'Åse' was not renewed" in caplog.text


async def test_the_log_has_names_of_users_and_addresses_and_nothing_else_that_was_typed(
    login: LocalLogin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name, password in (("bo", GOOD), ("typed in the wrong field", "a wrong one")):
        with pytest.raises(WrongLogin):
            await login.check(name, password, HERE)
    await login.check("Åse", GOOD, HERE)
    assert caplog.messages == [
        "login refused: 'bo' from 192.0.2.1: disabled",
        "login refused: an unknown name from 192.0.2.1: wrong name or password",
        "login: 'Åse' as operator from 192.0.2.1",
    ]


@pytest.mark.parametrize("password", ["", "too short", "x" * 1001, "BO SØRENSEN"])
def test_a_new_password_is_long_enough_and_not_the_name(password: str) -> None:
    with pytest.raises(UnfitPassword, match=r"^password: ") as caught:
        check_new_password(password, "Bo Sørensen")
    assert not password or password not in str(caught.value)


def test_a_good_new_password_is_taken() -> None:
    check_new_password(GOOD, "Bo Sørensen")


async def test_two_passwords_are_looked_at_at_once_and_no_more() -> None:
    class SlowHasher(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            running.append(len(running) + 1)
            together.append(len(running))
            # The second waits for a third, which must not come.
            came.wait(0.2) if len(together) < 3 else came.set()
            running.pop()
            return True

    running: list[int] = []
    together: list[int] = []
    came = threading.Event()
    passwords = Passwords(SlowHasher(time_cost=1, memory_cost=8, parallelism=1))
    assert all(await asyncio.gather(*(passwords.match("a hash", "x") for _ in range(6))))
    assert max(together) == 2
