"""From where a request comes: of forwarded addresses only those of listed proxies are believed."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(
    peer: str, forwarded: Iterable[str], proxies: tuple[Network, ...]
) -> Address | None:
    """The nearest address that is not a trusted proxy's; None when one cannot be read."""
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in (peer, *reversed(hops)):
        try:
            address = _plain(ip_address(hop))
        except ValueError:
            return None
        if not within(address, proxies):
            return address
    return address


def within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def _plain(address: Address) -> Address:
    """An IPv4 client of an IPv6 socket is the IPv4 client."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
