"""The names that a session, its specimens and their files get."""

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.digitisation import CollectionValues, Values
from schemas.guid import MAX_RANDOM, Guid

IsTaken = Callable[[str], bool]
"""Whether a guid was given before."""


class NoNumberLeft(Exception):
    """A session has more specimens than there are random numbers for guids."""

    def __init__(self) -> None:
        most = MAX_RANDOM + 1
        super().__init__(f"a session has at most {most} specimens; divide its folder in two")


class GuidMaker:
    """Makes the guids of one session: no random number comes twice in it, no guid ever."""

    def __init__(self, values: Values, collection: CollectionValues, is_taken: IsTaken) -> None:
        self._values, self._collection, self._is_taken = values, collection, is_taken
        self._used: set[int] = set()

    def make(self, captured: datetime) -> str:
        """The guid of a specimen that was photographed then. Raises NoNumberLeft."""
        while len(self._used) <= MAX_RANDOM:
            number = secrets.randbelow(MAX_RANDOM + 1)
            if number in self._used:
                continue
            self._used.add(number)
            guid = str(
                Guid.build(
                    captured,
                    institution=self._values.institution_number,
                    collection=self._collection.number,
                    workstation=self._values.workstation_number,
                    random=number,
                )
            )
            if not self._is_taken(guid):
                return guid
        raise NoNumberLeft


def new_name(guid: str, path: Path) -> str:
    """The name of a specimen's file: its guid, and the ending it had, in lower case."""
    return guid + path.suffix.lower()


def metadata_name(guid: str) -> str:
    """The name of a specimen's metadata document."""
    return f"{guid}.json"


def session_name(begun_at: datetime, zone: str) -> str:
    """The folder of a session on the N-Drive: when it was begun there, and six random digits."""
    local = begun_at.astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%dT%H.%M.%S}_{secrets.token_hex(3)}"
