"""Finding specimens, by anything that is known of them, among any number of them.

Three statements at most. The first takes what fits from the index of all words, or from what is
in a rare state, and counts it up to a bound; where that is all, it has the page too. Of what fits
more, the next page is looked for along the index of times, which soon has it. Where what fits
lies far back, all of it is put in order.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import searching
from schemas.quarantine import sentence
from schemas.specimen_query import SpecimenQuery

PAGE = 50
CSV_PAGE = 1_000
"""Specimens of a list that is sent as a whole, by one transaction."""

MAX_COUNT = 10_000
"""So many are counted; of more it is said that there are more."""

LOOKED_THROUGH = 20_000
"""Specimens looked through along the index of times before all that fits is put in order."""

# Literal states, for each names a partial index.
_STOPPED = "j.state IN ('failed', 'cancelled')"
_HELD = "SELECT coalesce(parent_guid, guid) FROM track.asset WHERE attention IS NOT NULL"
_UNFINISHED = "SELECT guid FROM track.asset WHERE finalised_at IS NULL AND parent_guid IS NULL"
_QUARANTINED = f"{_UNFINISHED} AND quarantine IS NOT NULL"


def _with_job(condition: str) -> str:
    return f"""
        SELECT coalesce(a.parent_guid, a.guid)
        FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid WHERE {condition}
    """


RARE = {
    "underway": f"{_UNFINISHED} AND quarantine IS NULL",
    "quarantined": _QUARANTINED,
    "attention": f"SELECT DISTINCT * FROM ({_HELD}) h",
    "person": f"({_QUARANTINED}) UNION ({_HELD}) UNION ({_with_job(_STOPPED)})",
    **{
        state: f"SELECT DISTINCT * FROM ({_with_job(condition)}) h"
        for state, condition in {
            "failed": f"{_STOPPED} AND j.state = 'failed'",
            "cancelled": f"{_STOPPED} AND j.state = 'cancelled'",
            **{
                each: f"j.state = '{each}' AND j.state NOT IN ('done', 'excluded')"
                for each in ("waiting", "ready", "claimed", "queued", "running", "returned")
            },
        }.items()
    },
}
"""The specimens in each state that few are in."""

FINALISED = """
    CROSS JOIN LATERAL (
        SELECT FROM track.asset a
        WHERE a.guid = s.asset_guid AND a.finalised_at IS NOT NULL OFFSET 0
    ) ended
"""

SHOWN = text("""
    SELECT a.guid, a.created_at AS at, a.session_id, a.file_name, a.finalised_at, a.attention,
           a.quarantine, p.name AS pipeline, e.workstation, d.body ->> 'collection' AS collection,
           d.body ->> 'digitiser' AS digitiser, d.body -> 'barcode' AS barcodes,
           CAST(d.body ->> 'date_asset_taken' AS timestamptz) AS taken_at,
           w.key AS stage, w.state, w.reason
    FROM unnest(CAST(:guids AS text[])) WITH ORDINALITY AS g(guid, n)
    JOIN track.asset a ON a.guid = g.guid
    JOIN track.pipeline p ON p.id = a.pipeline_id
    JOIN track.session e ON e.id = a.session_id
    LEFT JOIN metadata.document d ON d.asset_guid = a.guid
    LEFT JOIN LATERAL (
        SELECT st.key, j.state, j.reason
        FROM track.job j JOIN track.stage st ON st.id = j.stage_id
        WHERE j.asset_guid = a.guid AND j.state NOT IN ('done', 'excluded', 'absent')
        ORDER BY j.state NOT IN ('failed', 'cancelled'), j.state = 'waiting', st.position, j.id
        LIMIT 1
    ) w ON true
    ORDER BY g.n
""")

IS_ASSET = text("SELECT guid FROM track.asset WHERE guid = :guid")
IS_FILLED = text("SELECT NOT EXISTS (SELECT FROM track.search_fill)")


class FoundPlace(NamedTuple):
    """A specimen's place in a list: when it was registered, and its guid."""

    at: datetime
    guid: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """From an address; None where it is empty. Raises ValueError."""
        if not text:
            return None
        at, _, guid = text.partition(",")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not guid or "\0" in guid:
            raise ValueError(f"after: '{text:.80}' is no place in the list: begin anew without it")
        return cls(moment, guid)

    def __str__(self) -> str:
        return f"{self.at.isoformat()},{self.guid}"


@dataclass(frozen=True)
class FoundSpecimen:
    """A specimen as a list shows it. `state` is quarantined, failed, cancelled, attention,
    finalised or underway; `stage` and `reason` say where it stands, if it is not at its end."""

    guid: str
    state: str
    stage: str
    reason: str
    barcodes: tuple[str, ...]
    collection: str
    digitiser: str
    workstation: str
    pipeline: str
    session_id: UUID
    file_name: str
    at: datetime
    taken_at: datetime | None
    finalised_at: datetime | None

    @property
    def place(self) -> FoundPlace:
        """Where a list goes on after it."""
        return FoundPlace(self.at, self.guid)


@dataclass(frozen=True)
class FindPage:
    """One page of what was found; `number` in all, None for more than MAX_COUNT.

    `following` is where the next page begins, None on the last. `complete` is False while older
    specimens are still being brought into the search.
    """

    specimens: Sequence[FoundSpecimen]
    number: int | None
    following: FoundPlace | None
    complete: bool


async def find(
    tx: AsyncConnection, query: SpecimenQuery, after: FoundPlace | None = None, limit: int = PAGE
) -> FindPage:
    """The next specimens that fit, at most `limit`."""
    number, guids = await _Search.of(query).page(tx, after, limit + 1)
    if number == 0 and searching.parts_of(query.q):
        number, guids = await _Search.of(query, part=True).page(tx, after, limit + 1)
    specimens = [_specimen(row) for row in await tx.execute(SHOWN, {"guids": guids[:limit]})]
    more = specimens[-1].place if len(guids) > limit and specimens else None
    complete = bool((await tx.execute(IS_FILLED)).scalar_one())
    return FindPage(specimens, number, more, complete)


async def guid_named(tx: AsyncConnection, text_: str) -> str | None:
    """The guid, if that is one as it stands: of a specimen or of a derivative."""
    return (await tx.execute(IS_ASSET, {"guid": text_.strip()})).scalar_one_or_none()


Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


async def find_all(reading: Reading, query: SpecimenQuery) -> AsyncIterator[FoundSpecimen]:
    """Every specimen that fits, in pages of their own transactions, so that none lasts long."""
    after: FoundPlace | None = None
    while True:
        async with reading() as tx:
            page = await find(tx, query, after, CSV_PAGE)
        for each in page.specimens:
            yield each
        if (after := page.following) is None:
            return


def _specimen(row: Row[Any]) -> FoundSpecimen:
    state, reason = row.state, row.reason
    if row.quarantine is not None:
        state, reason = "quarantined", sentence(row.quarantine)
    elif state not in ("failed", "cancelled"):
        if row.attention is not None:
            state, reason = "attention", row.attention
        else:
            state = "underway" if row.finalised_at is None else "finalised"
    return FoundSpecimen(
        guid=row.guid,
        state=state,
        stage=row.stage or "",
        reason=reason or "",
        barcodes=tuple(row.barcodes or ()),
        collection=row.collection or "",
        digitiser=row.digitiser or "",
        workstation=row.workstation,
        pipeline=row.pipeline,
        session_id=row.session_id,
        file_name=row.file_name,
        at=row.at,
        taken_at=row.taken_at,
        finalised_at=row.finalised_at,
    )


@dataclass(frozen=True)
class _Search:
    """A query as parts of statements: rows of the table `search` s, and their conditions."""

    rare: str
    finalised: bool
    conditions: tuple[str, ...]
    given: Mapping[str, Any]
    backwards: bool

    @classmethod
    def of(cls, query: SpecimenQuery, *, part: bool = False) -> "_Search":
        """With `part` its text `q` is looked for within numbers, and nowhere else."""
        conditions: list[str] = []
        given: dict[str, Any] = {}
        if words := _words(query):
            conditions.append("s.words @@ CAST(:words AS tsquery)")
            given["words"] = words
        if query.number:
            conditions.append("position(:number IN s.numbers) > 0")
            given["number"] = searching.plain(query.number)
        if query.q and not part:
            conditions.append("s.words @@ CAST(:anywhere AS tsquery)")
            given["anywhere"] = _anywhere(query.q)
        elif query.q:
            conditions.append("s.words @@ CAST(:parts AS tsquery)")
            conditions.append("position(:part IN s.numbers) > 0")
            given["part"] = searching.plain(query.q)
            given["parts"] = searching.all_of(searching.telling_parts(query.q))
        for name, column in (("came", "s.at"), ("taken", "s.taken_at")):
            for border, sign in (("from", ">="), ("to", "<")):
                if (moment := query.moment(f"{name}_{border}")) is not None:
                    conditions.append(f"{column} {sign} :{name}_{border}")
                    given[f"{name}_{border}"] = moment
        return cls(
            RARE.get(query.state, ""),
            query.state == "finalised",
            tuple(conditions),
            given,
            query.order != "oldest",
        )

    async def page(
        self, tx: AsyncConnection, after: FoundPlace | None, limit: int
    ) -> tuple[int | None, list[str]]:
        """How many fit (None: more than MAX_COUNT), and the guids of the next ones in order."""
        last = "infinity" if self.backwards else "-infinity"
        place = {"at": after.at.isoformat() if after else last, "guid": after.guid if after else ""}
        given = {**self.given, **place, "limit": limit}
        rows = (await tx.execute(text(self._few), given)).all()
        number = int(rows[0].number)
        found = [row.guid for row in rows if row.guid is not None]
        if number <= MAX_COUNT:
            return number, found
        found = []
        if not self.rare:
            found = list((await tx.execute(text(self._along), given)).scalars())
        if len(found) < limit:
            found = list((await tx.execute(text(self._all), given)).scalars())
        return None, found

    @property
    def _source(self) -> str:
        rows = "track.search s"
        if self.rare:
            rows = f"""
                ({self.rare}) AS few(guid) CROSS JOIN LATERAL (
                    SELECT * FROM track.search x WHERE x.asset_guid = few.guid OFFSET 0) s
            """
        return rows + (FINALISED if self.finalised else "")

    @property
    def _where(self) -> str:
        return " AND ".join(f"({each})" for each in self.conditions) or "true"

    @property
    def _after(self) -> str:
        sign = "<" if self.backwards else ">"
        return f"{sign} (CAST(:at AS timestamptz), CAST(:guid AS text))"

    @property
    def _order(self) -> str:
        return "DESC" if self.backwards else "ASC"

    @property
    def _few(self) -> str:
        way = self._order
        return f"""
            WITH few_found AS MATERIALIZED (
                SELECT s.asset_guid AS guid, s.at FROM {self._source}
                WHERE {self._where} LIMIT {MAX_COUNT + 1}
            )
            SELECT c.number, n.guid
            FROM (SELECT count(*) AS number FROM few_found) c
            LEFT JOIN (
                SELECT guid, at FROM few_found WHERE (at, guid) {self._after}
                ORDER BY at {way}, guid {way} LIMIT :limit
            ) n ON true
            ORDER BY n.at {way}, n.guid {way}
        """

    @property
    def _along(self) -> str:
        way = self._order
        came = [each for each in self.conditions if each.startswith("s.at ")]
        within = " AND ".join([f"(s.at, s.asset_guid) {self._after}", *came])
        return f"""
            SELECT s.asset_guid AS guid FROM (
                SELECT * FROM track.search s WHERE {within}
                ORDER BY s.at {way}, s.asset_guid {way} LIMIT {LOOKED_THROUGH}
            ) s {FINALISED if self.finalised else ""}
            WHERE {self._where}
            ORDER BY s.at {way}, s.asset_guid {way} LIMIT :limit
        """

    @property
    def _all(self) -> str:
        way = self._order
        return f"""
            WITH fitting AS MATERIALIZED (
                SELECT s.asset_guid AS guid, s.at FROM {self._source} WHERE {self._where}
            )
            SELECT guid FROM fitting WHERE (at, guid) {self._after}
            ORDER BY at {way}, guid {way} LIMIT :limit
        """


def _words(query: SpecimenQuery) -> str:
    """The fields that are looked up among the words, as a tsquery."""
    begins = {
        searching.GUID: query.guid,
        searching.COLLECTION: query.collection,
        searching.DIGITISER: query.digitiser,
        searching.WORKSTATION: query.workstation,
        searching.PIPELINE: query.pipeline,
    }
    begun = [mark + searching.plain(each) for mark, each in begins.items() if each]
    begun += searching.words_in(query.words)
    whole = [searching.BARCODE + searching.plain(query.barcode)] if query.barcode else []
    whole += searching.telling_parts(query.number) if query.number else []
    if query.words and not any(searching.words_in(query.words)):
        whole.append(searching.GUID)  # signs alone are no word of anything
    both = [searching.all_of(begun, prefix=True), searching.all_of(whole)]
    return " & ".join(each for each in both if each)


def _anywhere(text_: str) -> str:
    """What is asked for one text: a barcode, words, or how a guid or a name begins."""
    plain = searching.plain(text_)
    conditions = [
        searching.all_of([searching.BARCODE + plain]),
        searching.all_of(searching.words_in(plain), prefix=True),
        *(
            searching.all_of([mark + plain], prefix=True)
            for mark in (
                searching.GUID,
                searching.COLLECTION,
                searching.DIGITISER,
                searching.WORKSTATION,
                searching.PIPELINE,
            )
        ),
    ]
    return searching.any_of_conditions(conditions)
