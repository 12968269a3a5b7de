"""Signing in by name and password, so many times for a name and for an address and no more."""

import logging
import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from blocks.access.addresses import Address
from blocks.access.passwords import Passwords
from blocks.access.rates import Rates
from blocks.access.users import MAX_NAME, LocalUser, UsersFile, account

log = logging.getLogger(__name__)

ACCOUNT_PER_S, ACCOUNT_BURST = 1 / 30, 5
"""Wrong passwords for one name: five, then one in half a minute."""

ADDRESS_PER_S, ADDRESS_BURST = 1 / 5, 30
"""Wrong ones from one address, which a whole house may share."""


class WrongLogin(ValueError):
    """Name or password are wrong, or the user is disabled; which, is not told."""


class TooManyLogins(ValueError):
    """Too many wrong ones before; `wait_s`: after how many seconds the next is looked at."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = math.ceil(wait_s)
        super().__init__(f"too many wrong logins: wait {self.wait_s} s, then try again")


class LocalLogin:
    """Checks logins of the file's users. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        users: UsersFile,
        passwords: Passwords,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.users, self._passwords = users, passwords
        self._accounts = Rates(ACCOUNT_PER_S, ACCOUNT_BURST, clock)
        self._addresses = Rates(ADDRESS_PER_S, ADDRESS_BURST, clock)

    async def check(self, name: str, password: str, address: Address | None) -> LocalUser:
        """The user who logs in. Raises WrongLogin, TooManyLogins, BrokenUsersFile."""
        user = self.users.find(name)
        # Somebody's password, typed into the wrong field, must not get into the log.
        who = repr(user.name) if user else "an unknown name"
        callers = (
            (self._addresses, _household(address)),
            (self._accounts, account(name[:MAX_NAME])),
        )
        for rates, caller in callers:
            if wait_s := rates.wait_s(caller):
                log.warning("login refused: %s from %s: too many before", who, address)
                raise TooManyLogins(wait_s)
        right = await self._passwords.match(user.password if user else None, password)
        if user is None or not right or user.disabled:
            why = "disabled" if user and right else "wrong name or password"
            log.warning("login refused: %s from %s: %s", who, address, why)
            raise WrongLogin("the name or the password is wrong")
        for rates, caller in callers:
            rates.give_back(caller)
        log.info("login: %s as %s from %s", who, user.role, address)
        return await self._renewed(user, password)

    async def _renewed(self, user: LocalUser, password: str) -> LocalUser:
        """The user, with a hash of today's parameters."""
        if not self._passwords.outdated(user.password):
            return user
        hashed = await self._passwords.beside(self._passwords.hashed, password)

        def renew(now: LocalUser) -> LocalUser:
            same = now.password == user.password
            return now.model_copy(update={"password": hashed}) if same else now

        try:
            return await self._passwords.beside(self.users.change, user.name, renew)
        except (OSError, ValueError) as error:
            log.warning("the hash of %r was not renewed: %s", user.name, error)
            return user


def _household(address: Address | None) -> object:
    """Who shares an address: of IPv6 everybody has a whole network."""
    if isinstance(address, IPv6Address):
        return ip_network((address, 64), strict=False)
    return address
