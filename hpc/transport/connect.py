"""Opening one SSH connection: our own socket, a pinned host key, an explicit user key.

paramiko's client is not used: it would leave Nagle on (40 ms a command), try keys of an
agent until the server hangs up, and choose among host keys by a file.
"""

import binascii
import io
import socket
from contextlib import suppress
from dataclasses import dataclass

import paramiko
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    ChannelException,
    IncompatiblePeer,
    SSHException,
)

from hpc.transport.errors import (
    BadAddress,
    HostUnreachable,
    HungUp,
    JumpDown,
    KeyRefused,
    SecondFactor,
    WireError,
    WrongHostKey,
)
from hpc.transport.host_keys import HostKeys, fingerprint, read_host_keys
from hpc.transport.ordered import OrderedTransport
from schemas.ssh_address import SshAddress, SshHop

CONNECT_S = 15.0
KEEPALIVE_S = 30
MAX_BANNER = 300
DEAD_PEER_MS = 20_000
"""How long sent bytes may stay unacknowledged before the kernel gives the connection up."""

WEAK = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
}


@dataclass(frozen=True)
class SshConnection:
    """A live connection. `generation` tells it from those before and after."""

    generation: int
    transport: OrderedTransport
    socket: socket.socket
    jump: paramiko.Transport | None = None

    @property
    def host_key(self) -> str:
        """Kind and fingerprint of the key that the login node proved to have."""
        key = self.transport.get_remote_server_key()
        return f"{key.get_name()} {fingerprint(key.asbytes())}"

    def cut(self) -> None:
        """End it at once and without waiting; whoever uses it finds it lost."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def close(self) -> None:
        """End it in an orderly way; blocks for a moment."""
        self.transport.close()
        if self.jump is not None:
            self.jump.close()
        self.socket.close()


def connect(address: SshAddress, generation: int) -> SshConnection:
    """Open a connection; blocks. Raises WireError."""
    first = address.jump or address.node
    try:
        base = _dial(first)
    except WireError as error:
        raise _of_jump(address, error) from error
    opened: list[OrderedTransport] = []
    try:
        if address.jump is None:
            opened.append(_log_in(base, address.node))
            return SshConnection(generation, opened[0], base)
        try:
            opened.append(_log_in(base, address.jump))
            tunnel = _tunnel(opened[0], address)
        except (HostUnreachable, KeyRefused, SecondFactor) as error:
            raise _of_jump(address, error) from error
        opened.append(_log_in(tunnel, address.node))
        return SshConnection(generation, opened[1], base, jump=opened[0])
    except WireError:
        for transport in reversed(opened):
            transport.close()
        base.close()
        raise


def _of_jump(address: SshAddress, error: WireError) -> WireError:
    """The same error, named as the jump host's; what only a person can mend stays so."""
    if address.jump is None or isinstance(error, JumpDown):
        return error
    kind = type(error) if error.needs_operator else JumpDown
    return kind(f"the jump host {address.jump.name}: {error}")


def _dial(hop: SshHop) -> socket.socket:
    try:
        sock = socket.create_connection((hop.host, hop.port), CONNECT_S)
    except OSError as error:
        raise HostUnreachable(f"{hop.name} does not answer: {error}") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
    return sock


def _tunnel(jump: paramiko.Transport, address: SshAddress) -> paramiko.Channel:
    there = (address.node.host, address.node.port)
    try:
        return jump.open_channel("direct-tcpip", there, ("127.0.0.1", 0), timeout=CONNECT_S)
    except (ChannelException, SSHException, EOFError) as error:
        raise JumpDown(
            f"the jump host {address.jump.name if address.jump else ''} does not get through to "
            f"{address.node.host}:{address.node.port}: {error}"
        ) from error


def _log_in(sock: socket.socket | paramiko.Channel, hop: SshHop) -> OrderedTransport:
    """Check the host's key, then log in with ours."""
    pinned = read_host_keys(hop)
    key = read_private_key(hop)
    try:
        transport = OrderedTransport(sock, disabled_algorithms=WEAK)
    except (SSHException, OSError, EOFError) as error:
        raise HungUp(f"{hop.name} ends the connection at once: {error}") from error
    try:
        transport.banner_timeout = transport.auth_timeout = CONNECT_S
        transport.channel_timeout = CONNECT_S
        transport.get_security_options().key_types = pinned.signatures
        transport.start_client(timeout=CONNECT_S)
        _check_host(transport, hop, pinned)
        wanted = transport.auth_publickey(hop.user, key)
        if wanted:
            raise SecondFactor(
                f"{hop.name} accepts our key and wants a second factor after it: "
                f"{' or '.join(wanted)}"
            )
        transport.set_keepalive(KEEPALIVE_S)
    except WireError:
        transport.close()
        raise
    except (SSHException, OSError, EOFError) as error:
        refused = isinstance(error, AuthenticationException) and transport.is_active()
        banner = _banner(transport)
        transport.close()
        raise _as_wire_error(error, hop, pinned, refused=refused, banner=banner) from error
    return transport


def _banner(transport: paramiko.Transport) -> str:
    """What the host said while we logged in, such as that it is in maintenance."""
    banner = transport.auth_handler.banner if transport.auth_handler else b""
    text = banner.decode(errors="replace") if isinstance(banner, bytes) else banner or ""
    words = " ".join(text.split())
    return f"; it says: {words[-MAX_BANNER:]}" if words else ""


def _as_wire_error(
    error: Exception, hop: SshHop, pinned: HostKeys, *, refused: bool, banner: str
) -> WireError:
    """What paramiko's error means. `refused`: the host still answers and refused us.

    A link that breaks while we log in looks much the same to paramiko, and must not count as a
    key that is not accepted.
    """
    if isinstance(error, BadAuthenticationType) and "publickey" not in error.allowed_types:
        wanted = " or ".join(error.allowed_types)
        return KeyRefused(
            f"{hop.name} takes no key, or not as the first: it wants {wanted}{banner}"
        )
    if refused:
        return KeyRefused(f"{hop.name} does not accept our key: {error}{banner}")
    if isinstance(error, IncompatiblePeer):
        if "host key" in str(error):
            return WrongHostKey(f"{hop.name} has no {pinned.kinds} key, which is what is pinned")
        return HostUnreachable(f"{hop.name} speaks only methods that are no longer safe: {error}")
    return HungUp(f"{hop.name} does not let us finish: {str(error) or 'it hung up'}{banner}")


def _check_host(transport: paramiko.Transport, hop: SshHop, pinned: HostKeys) -> None:
    shown = transport.get_remote_server_key().asbytes()
    if not pinned.accept(shown):
        revoked = ", which is revoked" if shown in pinned.revoked else ""
        raise WrongHostKey(
            f"{hop.name} shows the host key {fingerprint(shown)}{revoked}, pinned is "
            f"{pinned.fingerprints}"
        )


def read_private_key(hop: SshHop) -> paramiko.PKey:
    """Our key. Raises BadAddress, whose text has nothing of the key."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(hop.private_key), hop.passphrase)
        except paramiko.PasswordRequiredException as error:
            raise BadAddress(f"the private key for {hop.name} wants a passphrase") from error
        except (SSHException, ValueError, IndexError, binascii.Error):
            continue
    raise BadAddress(
        f"the private key for {hop.name} cannot be read: it must be an OpenSSH key, best ed25519"
    )
