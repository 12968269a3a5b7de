"""Opening one SSH connection: our own socket, a pinned host key, an explicit user key.

paramiko's client is not used: it would leave Nagle on (40 ms a command), try keys of an
agent until the server hangs up, and choose among host keys by a file.
"""

import base64
import binascii
import hashlib
import io
import itertools
import socket
from contextlib import suppress
from dataclasses import dataclass

import paramiko
from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    IncompatiblePeer,
    SSHException,
)

from hpc.wire.errors import BadAddress, JumpDown, KeyRefused, Unreachable, WireError, WrongHostKey
from schemas.ssh_address import SshAddress, SshHop

CONNECT_S = 15.0
KEEPALIVE_S = 30
DEAD_PEER_MS = 20_000
"""How long sent bytes may stay unacknowledged before the kernel gives the connection up."""

WEAK = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
}


@dataclass(frozen=True)
class Connection:
    """A live connection. `generation` tells it from those before and after."""

    generation: int
    transport: paramiko.Transport
    socket: socket.socket
    jump: paramiko.Transport | None = None

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


def connect(address: SshAddress, generation: int) -> Connection:
    """Open a connection; blocks. Raises WireError in plain words."""
    first = address.jump or address.node
    try:
        base = _dial(first)
    except WireError as error:
        raise _of_jump(address, error) from error
    opened: list[paramiko.Transport] = []
    try:
        if address.jump is None:
            opened.append(_log_in(base, address.node))
            return Connection(generation, opened[0], base)
        try:
            opened.append(_log_in(base, address.jump))
            tunnel = _tunnel(opened[0], address)
        except (Unreachable, KeyRefused) as error:
            raise _of_jump(address, error) from error
        opened.append(_log_in(tunnel, address.node))
        return Connection(generation, opened[1], base, jump=opened[0])
    except WireError:
        for transport in reversed(opened):
            transport.close()
        base.close()
        raise


def _of_jump(address: SshAddress, error: WireError) -> WireError:
    if address.jump is None or isinstance(error, JumpDown):
        return error
    return JumpDown(f"the jump host {address.jump.name}: {error}")


def _dial(hop: SshHop) -> socket.socket:
    try:
        sock = socket.create_connection((hop.host, hop.port), CONNECT_S)
    except OSError as error:
        raise Unreachable(f"{hop.name} does not answer: {error}") from error
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


def _log_in(sock: socket.socket | paramiko.Channel, hop: SshHop) -> paramiko.Transport:
    """Check the host, then ourselves."""
    kind, pinned = read_host_key(hop)
    key = read_private_key(hop)
    try:
        transport = paramiko.Transport(sock, disabled_algorithms=WEAK)
    except (SSHException, OSError, EOFError) as error:
        raise Unreachable(f"{hop.name} ends the connection at once: {error}") from error
    try:
        transport.banner_timeout = transport.auth_timeout = CONNECT_S
        transport.channel_timeout = CONNECT_S
        transport.get_security_options().key_types = _signatures(kind)
        transport.start_client(timeout=CONNECT_S)
        _check_host(transport, hop, pinned)
        transport.auth_publickey(hop.user, key)
        transport.set_keepalive(KEEPALIVE_S)
    except WireError:
        transport.close()
        raise
    except (SSHException, OSError, EOFError) as error:
        refused = isinstance(error, AuthenticationException) and transport.is_active()
        transport.close()
        raise _in_our_words(error, hop, kind, refused=refused) from error
    return transport


def _in_our_words(error: Exception, hop: SshHop, kind: str, *, refused: bool) -> WireError:
    """`refused`: the host is still there and said no. A link that breaks while we log in
    looks much the same to paramiko, and must not count as a key that is not accepted."""
    if refused:
        return KeyRefused(f"{hop.name} does not accept our key: {error}")
    if isinstance(error, IncompatiblePeer):
        if "host key" in str(error):
            return WrongHostKey(f"{hop.name} has no {kind} key, which is the one pinned")
        return Unreachable(f"{hop.name} speaks only methods that are no longer safe: {error}")
    return Unreachable(f"{hop.name} does not finish the handshake: {error or 'it hung up'}")


def _check_host(transport: paramiko.Transport, hop: SshHop, pinned: bytes) -> None:
    shown = transport.get_remote_server_key().asbytes()
    if shown != pinned:
        raise WrongHostKey(
            f"{hop.name} shows the host key {fingerprint(shown)}, pinned is {fingerprint(pinned)}"
        )


def _signatures(kind: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def read_host_key(hop: SshHop) -> tuple[str, bytes]:
    """Kind and bytes of the pinned key; a leading host name, as in known_hosts, is skipped.

    Raises BadAddress.
    """
    words = hop.host_key.split()
    for kind, text in itertools.pairwise(words):
        if kind.startswith(("ssh-", "ecdsa-")):
            try:
                return kind, base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise BadAddress(f"the pinned host key of {hop.host} is no base64") from error
    raise BadAddress(
        f"the pinned host key of {hop.host} reads '{hop.host_key[:20]}…'; write it as "
        f"`ssh-keyscan -t ed25519 {hop.host}` prints it"
    )


def read_private_key(hop: SshHop) -> paramiko.PKey:
    """Our key. Raises BadAddress without a word of its text."""
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


def fingerprint(key: bytes) -> str:
    """As `ssh-keygen -l` writes it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
