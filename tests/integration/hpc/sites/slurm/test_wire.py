"""The wire against a real sshd: what it does, and in which words it fails."""

import asyncio
import getpass
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from paramiko.common import cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF
from paramiko.message import Message

from demo.lab import sshd as ssh_server
from demo.lab.sshd import Sshd, generate_key, running_sshd
from hpc.transport.breaker import Breaker
from hpc.transport.connect import connect
from hpc.transport.errors import (
    BadAddress,
    CircuitOpen,
    DeadlinePassed,
    HostUnreachable,
    HungUp,
    JumpDown,
    KeyRefused,
    LinkLost,
    SecondFactor,
    WireError,
    WrongHostKey,
)
from hpc.transport.ssh import SshLink
from schemas.ssh_address import SshAddress
from tests.support.delay_proxy import DelayProxy, running_proxy
from tests.support.serving import free_port

pytestmark = pytest.mark.skipif(not ssh_server.installed(), reason=ssh_server.MISSING)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def proxy(server: Sshd) -> Iterator[DelayProxy]:
    with running_proxy(server.port) as proxy:
        yield proxy


class NoWait(Breaker):
    """A breaker that notes failures and lets everybody try at once."""

    def wait_s(self, now: float) -> float:
        return 0.0


@asynccontextmanager
async def link_to(address: SshAddress) -> AsyncIterator[SshLink]:
    link = SshLink(address, breaker=NoWait())
    try:
        yield link
    finally:
        await link.close()


async def test_a_command_gives_both_outputs_and_its_exit_code(server: Sshd) -> None:
    async with link_to(server.address()) as link:
        answer = await link.run("cat; echo oops >&2; exit 7", b"hello")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (7, b"hello", b"oops\n")


async def test_a_command_ended_by_a_signal_has_no_exit_code(server: Sshd) -> None:
    async with link_to(server.address()) as link:
        assert (await link.run("kill -9 $$")).exit_code is None


async def test_much_goes_both_ways_at_once_and_comes_back_complete(server: Sshd) -> None:
    given = bytes(range(256)) * 40_000
    async with link_to(server.address()) as link:
        answer = await link.run("tee /dev/stderr", given)
    assert answer.stdout == given
    assert answer.stderr == given


async def test_output_may_be_streamed_to_where_it_is_wanted(server: Sshd) -> None:
    pieces: list[bytes] = []
    async with link_to(server.address()) as link:
        answer = await link.run("cat", (b"a" * 9000 for _ in range(900)), sink=pieces.append)
    assert answer.stdout == b""
    assert sum(map(len, pieces)) == 8_100_000


async def test_fifty_commands_at_once_use_one_connection_and_at_most_five_channels(
    server: Sshd, proxy: DelayProxy
) -> None:
    async with link_to(server.address(port=proxy.port)) as link:
        answers = await asyncio.gather(*(link.run(f"echo {i}") for i in range(50)))
    assert [int(answer.stdout) for answer in answers] == list(range(50))
    assert proxy.connections == link.counts.connections == 1


@pytest.mark.parametrize("kind", [cMSG_CHANNEL_EOF, cMSG_CHANNEL_DATA], ids=["eof", "data"])
def test_what_comes_too_late_for_a_command_does_not_cost_the_others_their_connection(
    server: Sshd, kind: bytes
) -> None:
    """It is overtaken by the answer to the command's end: made before, and sent after it."""
    connection = connect(server.address(), generation=1)
    transport = connection.transport
    try:
        ended = transport.open_session(timeout=10)
        transport.send_for(ended)
        ended.exec_command("true")
        until = time.monotonic() + 10
        while not ended.closed:
            assert time.monotonic() < until
            time.sleep(0.01)
        late = Message()
        late.add_byte(kind)
        late.add_int(ended.remote_chanid)
        late.add_string("late")
        transport._send_user_message(late)  # type: ignore[attr-defined]
        transport.send_for(None)
        other = transport.open_session(timeout=10)
        other.settimeout(10)
        other.exec_command("echo still here")
        assert other.recv(100) == b"still here\n"
    finally:
        connection.close()


async def test_nagle_is_off_so_that_a_command_costs_no_40_ms(server: Sshd) -> None:
    async with link_to(server.address()) as link:
        await link.run("true")
        took = []
        for _ in range(15):
            began = time.monotonic()
            await link.run("true")
            took.append(time.monotonic() - began)
    assert sorted(took)[3] < 0.035


async def test_a_host_that_allows_one_session_is_asked_again_until_it_has_room(
    tmp_path: Path,
) -> None:
    with running_sshd(tmp_path, options=("MaxSessions 1",)) as server:
        async with link_to(server.address()) as link:
            answers = await asyncio.gather(*(link.run("sleep 0.05; echo ok") for _ in range(4)))
    assert all(answer.stdout == b"ok\n" for answer in answers)
    assert link.counts.connections == 1


async def test_the_eleventh_channel_is_refused_and_asked_again_until_there_is_room(
    server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sshd's own default of ten sessions, were there no limit of ours."""
    monkeypatch.setattr("hpc.transport.ssh.CHANNELS", 14)
    async with link_to(server.address()) as link:
        work = [link.run(f"sleep 0.5; echo {n}") for n in range(14)]
        answers = await asyncio.gather(*work)
    assert [int(answer.stdout) for answer in answers] == list(range(14))
    assert link.counts.refused_channels >= 1
    assert link.counts.connections == 1


async def test_a_lost_link_leaves_open_whether_the_command_ran_and_the_next_one_reconnects(
    server: Sshd, proxy: DelayProxy, tmp_path: Path
) -> None:
    async with link_to(server.address(port=proxy.port)) as link:
        begun = tmp_path / "begun"
        task = asyncio.create_task(link.run(f"touch {begun}; sleep 5"))
        await _appears(begun)
        proxy.cut()
        with pytest.raises(LinkLost) as caught:
            await task
        assert caught.value.begun
        began = time.monotonic()
        assert (await link.run("echo again")).stdout == b"again\n"
        assert time.monotonic() - began < 5
    assert link.counts.lost == 1


async def test_a_command_past_its_deadline_is_left_and_a_link_that_answers_is_kept(
    server: Sshd,
) -> None:
    async with link_to(server.address()) as link:
        with pytest.raises(DeadlinePassed, match="within 0 s"):
            await link.run("sleep 5", deadline_s=0.3)
        assert (await link.run("echo here")).stdout == b"here\n"
    assert link.counts.connections == 1


async def test_a_link_that_answers_nothing_any_more_is_dropped(
    server: Sshd, proxy: DelayProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.transport.ssh.PROBE_S", 0.3)
    monkeypatch.setattr("hpc.transport.ssh.GRACE_S", 0.2)
    async with link_to(server.address(port=proxy.port)) as link:
        await link.run("true")
        proxy.stalled = True
        with pytest.raises(DeadlinePassed):
            await link.run("true", deadline_s=0.3)
        assert link.counts.lost == 1
        proxy.stalled = False
        assert (await link.run("echo back")).stdout == b"back\n"


async def test_an_idle_link_proves_that_it_is_alive_before_it_is_trusted(
    server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.transport.ssh.IDLE_S", 0.0)
    async with link_to(server.address()) as link:
        await link.run("true")
        await link.run("true")
    assert link.counts.commands == 3
    assert link.counts.connections == 1


async def test_a_cancelled_command_gives_its_place_back(server: Sshd) -> None:
    async with link_to(server.address()) as link:
        await link.run("true")
        for _ in range(7):
            task = asyncio.create_task(link.run("sleep 60"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await link.run("echo free", deadline_s=20)).stdout == b"free\n"


async def test_another_host_key_is_refused_by_both_fingerprints(
    server: Sshd, tmp_path: Path
) -> None:
    generate_key(tmp_path / "other")
    other = (tmp_path / "other.pub").read_text()
    address = SshAddress(replace(server.hop, host_key=other))
    async with link_to(address) as link:
        with pytest.raises(WrongHostKey, match=r"SHA256:\S+, pinned is SHA256:"):
            await link.run("true")


async def test_a_host_without_the_pinned_kind_of_key_is_refused(server: Sshd) -> None:
    rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="
    async with link_to(SshAddress(replace(server.hop, host_key=rsa))) as link:
        with pytest.raises(WrongHostKey, match="ssh-rsa"):
            await link.run("true")


async def test_a_key_nobody_knows_is_refused_and_not_tried_again_soon(
    server: Sshd, tmp_path: Path
) -> None:
    generate_key(tmp_path / "stranger")
    stranger = replace(server.hop, private_key=(tmp_path / "stranger").read_text())
    link = SshLink(SshAddress(stranger))
    with pytest.raises(KeyRefused, match="does not accept our key"):
        await link.run("true")
    with pytest.raises(CircuitOpen, match="left alone for another"):
        await link.run("true")
    assert link.counts.connections == 1


async def test_any_of_the_pinned_keys_counts_whichever_node_answers(
    server: Sshd, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "twin") as twin:
        both = f"login1 {twin.host_key}login2 {server.host_key}"
        for node in (server, twin):
            async with link_to(SshAddress(replace(node.hop, host_key=both))) as link:
                await link.run("true")
                assert link.host_key.startswith("ssh-ed25519 SHA256:")
        generate_key(tmp_path / "other")
        changed = both.replace(twin.host_key, (tmp_path / "other.pub").read_text())
        async with link_to(SshAddress(replace(twin.hop, host_key=changed))) as link:
            with pytest.raises(WrongHostKey, match=r"pinned is SHA256:\S+ or SHA256:\S+$"):
                await link.run("true")


async def test_a_node_with_another_kind_of_key_is_known_by_it(server: Sshd, tmp_path: Path) -> None:
    rsa = tmp_path / "rsa_key"
    words = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    pinned = f"{server.host_key}\n{rsa.with_suffix('.pub').read_text()}"
    with running_sshd(tmp_path / "old", options=(f"HostKey {rsa}",)) as old:
        for written in (pinned, rsa.with_suffix(".pub").read_text()):
            address = SshAddress(replace(old.hop, host_key=written))
            async with link_to(address) as link:
                if written is pinned:  # it has an ed25519 key too, which is another than pinned
                    with pytest.raises(WrongHostKey):
                        await link.run("true")
                else:
                    await link.run("true")
                    assert link.host_key.startswith("ssh-rsa SHA256:")


SECOND_FACTOR = ("AuthenticationMethods publickey,password", "PasswordAuthentication yes")


async def test_a_second_factor_after_the_key_is_reported_at_once_and_costs_one_login(
    tmp_path: Path,
) -> None:
    with running_sshd(tmp_path, options=SECOND_FACTOR) as server:
        link = SshLink(server.address())
        with pytest.raises(SecondFactor, match="wants a second factor after it: password"):
            await link.run("true")
        for _ in range(3):
            with pytest.raises(CircuitOpen, match="second factor"):
                await link.run("true")
        assert server.log().count("Partial publickey") == 1
    assert link.counts.connections == 1
    assert link.breaker.wait_s(time.monotonic()) > 3600


async def test_a_second_factor_at_the_jump_host_is_reported_as_its(
    server: Sshd, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "jump", options=SECOND_FACTOR) as jump:
        async with link_to(server.address(jump=jump.hop)) as link:
            with pytest.raises(SecondFactor, match=r"the jump host .* second factor"):
                await link.run("true")


@pytest.mark.parametrize(
    "options",
    [
        ("PubkeyAuthentication no", "PasswordAuthentication yes"),
        ("AuthenticationMethods password,publickey", "PasswordAuthentication yes"),
    ],
)
async def test_a_host_that_wants_a_password_first_takes_no_key_and_is_left_alone(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with running_sshd(tmp_path, options=options) as server:
        link = SshLink(server.address())
        with pytest.raises(KeyRefused, match="it wants password"):
            await link.run("true")
        with pytest.raises(CircuitOpen):
            await link.run("true")
    assert link.counts.connections == 1


async def test_what_the_host_says_while_it_refuses_is_reported(tmp_path: Path) -> None:
    notice = tmp_path / "notice"
    notice.write_text("Down for maintenance\nuntil Monday.\n")
    options = (f"Banner {notice}", "DenyUsers *")
    with running_sshd(tmp_path / "sshd", options=options) as server:
        async with link_to(server.address()) as link:
            with pytest.raises(KeyRefused, match="says: Down for maintenance until Monday"):
                await link.run("true")


async def test_a_host_that_hangs_up_while_we_log_in_refuses_no_key_and_is_tried_again(
    tmp_path: Path,
) -> None:
    """So does PAM to an account that has expired, and in a maintenance (`/etc/nologin`)."""
    options = (
        "AuthorizedKeysFile none",
        'AuthorizedKeysCommand /bin/sh -c "kill -9 $PPID"',
        f"AuthorizedKeysCommandUser {getpass.getuser()}",
    )
    with running_sshd(tmp_path, options=options) as server:
        link = SshLink(server.address())
        with pytest.raises(HungUp, match="does not let us finish"):
            await link.run("true")
    assert link.breaker.wait_s(time.monotonic()) <= 1


async def test_a_host_with_too_many_logins_hangs_up_and_gets_time(tmp_path: Path) -> None:
    """What it does as well to an address that is banned: the connection ends at once."""
    with (
        running_sshd(tmp_path, options=("MaxStartups 1:100:1",)) as server,
        _half_logged_in(server.port),
    ):
        link = SshLink(server.address())
        with pytest.raises(HungUp):
            await link.run("true")
    assert link.breaker.failures == 1


async def test_a_host_that_ends_every_session_is_not_tried_without_a_pause_for_ever(
    server: Sshd, tmp_path: Path
) -> None:
    """A login says nothing yet: only a command that came to its end does."""
    with running_sshd(tmp_path, options=('ForceCommand exec kill -9 "$PPID"',)) as thrower:
        link = SshLink(thrower.address())
        with pytest.raises(LinkLost):
            await link.run("true")
        assert link.breaker.failures == 1
        with pytest.raises(CircuitOpen, match="lets us in, and no command comes to its end"):
            await link.run("true")
    assert link.counts.connections == 1


async def test_a_key_that_cannot_be_read_is_reported_before_anything_connects(
    server: Sshd,
) -> None:
    async with link_to(SshAddress(replace(server.hop, private_key="no key"))) as link:
        with pytest.raises(BadAddress, match="OpenSSH key"):
            await link.run("true")


async def test_nobody_at_the_address_is_unreachable_and_the_breaker_opens(server: Sshd) -> None:
    link = SshLink(server.address(port=free_port()))
    with pytest.raises(HostUnreachable, match="does not answer"):
        await link.run("true")
    assert link.breaker.failures == 1
    with pytest.raises(WireError):
        await link.run("true")


async def test_through_a_jump_host_both_host_keys_are_checked(server: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        async with link_to(server.address(jump=jump.hop)) as link:
            assert (await link.run("echo through")).stdout == b"through\n"
        liar = replace(jump.hop, host_key=server.host_key)
        async with link_to(server.address(jump=liar)) as link:
            with pytest.raises(WrongHostKey, match=str(jump.port)):
                await link.run("true")
        async with link_to(server.address(port=free_port(), jump=jump.hop)) as link:
            with pytest.raises(JumpDown, match="does not get through"):
                await link.run("true")
    async with link_to(server.address(jump=jump.hop)) as link:
        with pytest.raises(JumpDown, match=r"the jump host .* does not answer"):
            await link.run("true")


@contextmanager
def _half_logged_in(port: int) -> Iterator[None]:
    """A login that was begun, once the host has a place for it."""
    until = time.monotonic() + 60
    while True:
        with socket.create_connection(("127.0.0.1", port), 10) as held:
            if held.recv(4) == b"SSH-":
                yield
                return
        assert time.monotonic() < until, "the host takes no login"
        time.sleep(0.02)


async def _appears(path: Path) -> None:
    until = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < until, f"{path} never appeared"
        await asyncio.sleep(0.01)
