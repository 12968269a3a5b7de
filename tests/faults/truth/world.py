"""The world of the property test: three small pipelines, two sessions, every kind of edge."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.metadata.document import read_document
from schemas.pipeline.load import Pipeline
from tests.faults.truth.turns import Turns
from tests.support.world import document, new
from track.commands.assets import NewAsset, register_assets
from track.commands.pipelines import load_pipelines
from track.records.documents import create_document
from track.records.sessions import mark_registered, open_session
from track.schema.database import transact

T = TypeVar("T")

SITES = ("alpha", "beta")
IN_FLIGHT = 2
SYNCHRONISING = 1
ANY_END = ["done", "excluded", "failed", "cancelled"]
RULE = {"after": "barcode", "when": "asset_subject == 'device target'"}


class Killed(Exception):
    """An actor's process dies here, between two transactions."""


def _stage(key: str, run: str, *needs: Any, **more: Any) -> dict[str, Any]:
    return {"key": key, "run": run, "needs": list(needs), **more}


def _of(stage: str, of: Any, **more: Any) -> dict[str, Any]:
    return {"stage": stage, "of": of, **more}


def parent(variant: str = "base") -> dict[str, Any]:
    """The parents' pipeline, as it is at first or as an edit leaves it."""
    ocr = [] if variant == "without ocr" else [_stage("ocr", "module ocr", "barcode")]
    extra = [_stage("crop", "module crop", "barcode")] if variant == "with crop" else []
    before = {"without ocr": ["barcode"], "with crop": ["ocr", "crop"]}.get(variant, ["ocr"])
    named = [step["key"] for step in (*ocr, *extra)]
    label = [] if variant == "without label" else [_stage("label", "module load", "sync")]
    ending = ["barcode"] if label == [] else [{"stage": "label", "accept": ANY_END}]
    return {
        "pipeline": "P",
        "throttle": {"assets_in_flight": IN_FLIGHT, "synchronising": SYNCHRONISING},
        "stages": [
            _stage("ingest", "refinery.ingest"),
            _stage("create", "refinery.create", "ingest"),
            _stage("sync", "refinery.synchronise", "create"),
            _stage("barcode", "module barcode", "sync", writes=["asset_subject", "barcode"]),
            *label,
            *ocr,
            *extra,
            _stage("derive", "module derive", *before, emits="CHILD", params={"ppi": [400, 72]}),
            _stage("clean", "module clean", "derive", *ending, _of("sync", "children")),
            _stage("finalise", "refinery.finalise", "clean"),
        ],
        "exclude": [RULE | {"stages": [*named, "derive"]}],
    }


def child(after: str = "label") -> dict[str, Any]:
    """The derivatives' pipeline, whose first stage waits for one of the parent's."""
    create = _stage("create", "refinery.create", _of(after, "parent", accept=ANY_END))
    upload = _stage("uploader", "module upload", "create")
    return {
        "pipeline": "CHILD",
        "stages": [create, upload, _stage("sync", "refinery.synchronise", "uploader")],
    }


def tiles(variant: str = "base") -> dict[str, Any]:
    """A lattice: a tile is matched with the next one in z."""
    near = [_of("find", {"z": 1})] if variant == "base" else []
    return {
        "pipeline": "TILES",
        "stages": [
            _stage("find", "module load"),
            _stage("match", "module crop", "find", *near),
            _stage("finalise", "refinery.finalise", "match"),
        ],
    }


BASE = (child(), parent(), tiles())
EDITS: dict[str, tuple[dict[str, Any], ...]] = {
    "base": BASE,
    "without ocr": (parent("without ocr"),),
    "with crop": (parent("with crop"),),
    "without label": (child("sync"), parent("without label")),
    "tiles apart": (tiles("apart"),),
}


@dataclass
class Truth:
    """What the actors share beside the database. `calm`: no more mishaps, only honest work."""

    engine: AsyncEngine
    turns: Turns
    sessions: list[UUID] = field(default_factory=list)
    calm: bool = False
    # Sessions whose last dispatcher was killed, or has released and not yet looked again.
    unwatched: set[UUID] = field(default_factory=set)
    tiles: int = 0

    async def setting(self) -> None:
        """Load the pipelines, open two sessions and register their assets."""

        async def work(tx: AsyncConnection) -> list[UUID]:
            await load_pipelines(tx, [Pipeline.model_validate(p) for p in BASE], actor="test")
            found = []
            for n in range(2):
                name = f"/n/{n}"
                opened = await open_session(
                    tx, path=name, workstation="W", listing_hash=name, actor="test"
                )
                assert opened is not None
                await mark_registered(tx, opened)
                found.append(opened)
            return sorted(found)

        self.sessions = await transact(self.engine, work)
        for number, session_id in enumerate(self.sessions):
            names = [f"g{number}{n}" for n in range(3 - number)]
            await self.add(session_id, *(new(name, source_path="/n") for name in names))
        for _ in range(3):
            await self.add_tile()

    async def add_tile(self) -> None:
        """One more tile at the end of the lattice."""
        z, self.tiles = self.tiles, self.tiles + 1
        await self.add(self.sessions[z % 2], new(f"t{z}", "TILES", x=0, y=0, z=z))

    async def add(self, session_id: UUID, *assets: NewAsset) -> None:
        """Register assets with a document each."""

        async def work(tx: AsyncConnection) -> None:
            await register_assets(tx, session_id, assets, actor="test")
            for each in assets:
                await create_document(
                    tx,
                    each.guid,
                    read_document(document(each.guid, pipeline_name=each.pipeline)),
                    actor="test",
                )

        await transact(self.engine, work)

    async def sql(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        async with self.engine.begin() as tx:
            result = await tx.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []


@dataclass
class Actor:
    """One actor's hands: its name, its choices, its turns."""

    truth: Truth
    name: str
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = self.truth.turns.rng(self.name)

    def chance(self, share: float) -> bool:
        """Whether a mishap of this share happens now; never when calm."""
        drawn = self.rng.random() < share
        return drawn and not self.truth.calm

    async def turn(self, what: str, weight: float = 1) -> None:
        """Wait for the turn and note what is done with it."""
        await self.truth.turns.turn(self.name, weight)
        self.truth.turns.note(self.name, what)

    async def do(
        self, what: str, work: Callable[[AsyncConnection], Awaitable[T]], weight: float = 1
    ) -> T:
        """Do one transaction in turn."""
        await self.turn(what, weight)
        return await transact(self.truth.engine, work)
