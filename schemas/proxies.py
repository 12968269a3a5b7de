"""NO_PROXY for a process's environment: the addresses that never go through a proxy.

Every client of ours and of Prefect's reads HTTP_PROXY and its sisters, and asks the proxy for
this host's own loopback unless NO_PROXY names it: a proxy's loopback is another host.
"""

from collections.abc import Iterable, Mapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMES = ("no_proxy", "NO_PROXY")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def unproxied(variables: Mapping[str, str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """NO_PROXY in both spellings: what `variables` has in either, the loopback, and `hosts`."""
    given = [entry.strip() for name in NAMES for entry in variables.get(name, "").split(",")]
    wanted = dict.fromkeys(entry for entry in (*given, *LOOPBACK, *hosts) if entry)
    # Only alone does `*` mean every host to all clients.
    return dict.fromkeys(NAMES, "*" if "*" in wanted else ",".join(wanted))


def proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """The proxies that `variables` name, in the spelling they have there."""
    return {name: value for name, value in variables.items() if name.lower() in PROXIES}
