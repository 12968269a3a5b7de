"""Free ports for servers that tests start."""

from refinery.addresses import LOOPBACK, unused_port


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    return unused_port(LOOPBACK)
