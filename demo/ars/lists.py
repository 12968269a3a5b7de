"""Controlled vocabularies: the lists a client may read and some of which it may extend."""

from fastapi import APIRouter
from pydantic import BaseModel

from demo.ars.errors import BadRequest
from demo.ars.roles import AnyRole, ServiceDeveloper
from demo.ars.store import Connection, one, rows, run
from demo.ars.world import InWorld, World

router = APIRouter()

# The word in the address → the kind in the table; POST says `status` where GET says `statuses`.
LISTS = {
    "fileformats": "file_format",
    "statuses": "status",
    "preparationtypes": "preparation_type",
    "issuecategories": "issue_category",
    "externalpublishers": "publisher",
}
_POST_NAMES = {**LISTS, "status": "status"}
INTERNAL_ROLES = ("USER", "ADMIN", "SERVICE_USER", "DEVELOPER")


class Named(BaseModel):
    name: str


async def names(db: Connection, kind: str) -> list[str]:
    found = await rows(db, "SELECT name FROM term WHERE kind = %s ORDER BY name", kind)
    return [row["name"] for row in found]


async def has(db: Connection, kind: str, name: str) -> bool:
    sql = "SELECT 1 AS yes FROM term WHERE kind = %s AND name = %s"
    return await one(db, sql, kind, name) is not None


async def add(db: Connection, kind: str, *values: str) -> None:
    for name in values:
        sql = "INSERT INTO term (kind, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        await run(db, sql, kind, name)


def _kind(table: dict[str, str], word: str) -> str:
    if word not in table:
        raise BadRequest(f"Unknown list: {word}")
    return table[word]


@router.get("/v1/lists/{word}")
async def read_list(word: str, world: InWorld, _: AnyRole) -> list[dict[str, str]]:
    kind = _kind(LISTS, word)
    async with world.store.transaction() as db:
        return [{"name": name} for name in await names(db, kind)]


@router.post("/v1/lists/{word}")
async def extend_list(
    word: str, body: Named, world: InWorld, _: ServiceDeveloper
) -> dict[str, str]:
    kind = _kind(_POST_NAMES, word)
    async with world.store.transaction() as db:
        await add(db, kind, body.name)
    return {"name": body.name}


async def _open_list(world: World, kind: str) -> list[str]:
    async with world.store.transaction() as db:
        return await names(db, kind)


@router.get("/v1/assets/statusList")
async def status_list(world: InWorld) -> list[str]:
    return await _open_list(world, "status")


@router.get("/v1/assets/subjectList")
async def subject_list(world: InWorld) -> list[str]:
    return await _open_list(world, "subject")


@router.get("/v1/assets/digitiserList")
async def digitiser_list(world: InWorld) -> list[str]:
    return await _open_list(world, "digitiser")


@router.get("/v1/assets/payloadTypeList")
async def payload_type_list(world: InWorld) -> list[str]:
    async with world.store.transaction() as db:
        found = await rows(
            db,
            "SELECT DISTINCT document->>'payload_type' AS name FROM asset"
            " WHERE document->>'payload_type' IS NOT NULL ORDER BY 1",
        )
    return [row["name"] for row in found]


@router.get("/v1/assets/restricted_access")
async def restricted_access_list() -> list[str]:
    return list(INTERNAL_ROLES)
