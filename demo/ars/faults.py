"""Things that go wrong in a real archive, on demand.

A rule names an action, what it applies to, and how often. Some actions happen at the edge, to
any request; the others at a named `Point` inside. Rules live in memory: a restart heals all.
"""

import random
import re
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Edge(StrEnum):
    """Actions on a request, whatever it asks for."""

    STATUS = "status"  # answer `status`, do nothing
    UNAUTHORISED = "unauthorised"  # answer 401 as for an expired token, do nothing
    LATENCY = "latency"  # wait `seconds`, then go on as usual
    EFFECT_THEN_STATUS = "effect_then_status"  # do it, wait `seconds`, answer `status` (504)
    EFFECT_THEN_RESET = "effect_then_reset"  # do it, wait `seconds`, cut the connection
    RESET = "reset"  # cut the connection, do nothing
    CUT_UPLOAD = "cut_upload"  # cut the connection after `bytes` of the request's body


class Point(StrEnum):
    """Actions inside the archive."""

    CORRUPT_UPLOAD = "corrupt_upload"  # a byte changes on its way: CRC mismatch, 507
    OPEN_SHARE_FAILS = "open_share_fails"  # ERDA not ready: 500, and the guid lock leaks
    FILE_PROXY_UNREACHABLE = "file_proxy_unreachable"  # creation 503
    ERDA_UNREACHABLE = "erda_unreachable"  # a job run aborts, its attempts are used up
    ERDA_PUT_FAILS = "erda_put_fails"  # one asset's transfer fails
    COMPLETE_LOST = "complete_lost"  # files in ERDA, the asset's status stays
    CLEANUP_FAILS = "cleanup_fails"  # success, but the share stays open
    SLOW_GAP = "slow_gap"  # `seconds` more between success and the share's end


class Match(BaseModel):
    """What a rule applies to; what is left out applies to everything."""

    model_config = ConfigDict(extra="forbid")

    method: str | None = None
    path_regex: re.Pattern[str] | None = None
    guid: str | None = None

    def fits(self, method: str | None, path: str | None, guid: str | None) -> bool:
        return (
            (self.method is None or method is None or self.method.upper() == method)
            and (self.path_regex is None or path is None or bool(self.path_regex.search(path)))
            and (self.guid is None or self.guid == guid)
        )


class Rule(BaseModel):
    """One fault: skips its first `after` matches, then strikes `count` times (null: always)."""

    model_config = ConfigDict(extra="forbid")

    action: Edge | Point
    match: Match = Field(default_factory=Match)
    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    after: Annotated[int, Field(ge=0)] = 0
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    bytes: Annotated[int, Field(ge=0)] = 0


class FaultRules:
    """The rules in force, oldest first; the first that fits strikes alone."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._dice = random.Random(0)

    def add(self, rule: Rule) -> None:
        self._rules.append(rule.model_copy(deep=True))

    def clear(self) -> None:
        self._rules.clear()
        self._dice.seed(0)

    def at_edge(self, method: str, path: str, guid: str | None) -> Rule | None:
        """The edge fault that strikes this request, if any."""
        edge = [rule for rule in self._rules if isinstance(rule.action, Edge)]
        fitting = (rule for rule in edge if rule.match.fits(method, path, guid))
        return next(filter(self._strikes, fitting), None)

    def take(self, point: Point, guid: str | None = None) -> Rule | None:
        """The fault that strikes at `point`, if any; only the guid of its match counts."""
        there = [rule for rule in self._rules if rule.action is point]
        fitting = (rule for rule in there if rule.match.fits(None, None, guid))
        return next(filter(self._strikes, fitting), None)

    def _strikes(self, rule: Rule) -> bool:
        if rule.after > 0:
            rule.after -= 1
            return False
        if self._dice.random() >= rule.probability:
            return False
        if rule.count is not None:
            rule.count -= 1
            if rule.count == 0:
                self._rules.remove(rule)
        return True
