"""Institutions with their collections, pipelines and workstations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from demo.ars.errors import BadRequest
from demo.ars.folders import is_safe_name
from demo.ars.roles import Admin, AdminService, AdminServiceDeveloper
from demo.ars.store import Connection, Row, one, rows, run
from demo.ars.world import InWorld

router = APIRouter()


class Restriction(BaseModel):
    name: str


Restrictions = Annotated[list[Restriction], Field(default_factory=list)]


class NewPlace(BaseModel):
    """An institution or a collection."""

    name: str
    role_restrictions: Restrictions

    @property
    def roles(self) -> list[str]:
        return [restriction.name for restriction in self.role_restrictions]


class NewPipeline(BaseModel):
    name: str


class NewWorkstation(BaseModel):
    name: str
    status: Literal["IN_SERVICE", "OUT_OF_SERVICE"] = "IN_SERVICE"


class WorkstationUpdate(BaseModel):
    status: Literal["IN_SERVICE", "OUT_OF_SERVICE"]
    name: str | None = None


def _institution_view(row: Row) -> dict[str, object]:
    return {
        "name": row["name"],
        "role_restrictions": [{"name": role} for role in row["role_restrictions"]],
    }


async def _known_institution(db: Connection, name: str) -> None:
    if await one(db, "SELECT 1 AS yes FROM institution WHERE name = %s", name) is None:
        raise BadRequest("Institution doesnt exist")


async def _insert(db: Connection, table: str, columns: dict[str, object]) -> None:
    """Insert or refuse; `table` and the column names are ours, never from outside."""
    name = str(columns["name"])
    if not is_safe_name(name):
        raise BadRequest(f"{table.capitalize()} name cannot be used in a path: {name}")
    keys, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {table} ({keys}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    if await run(db, sql, *columns.values()) == 0:
        raise BadRequest(f"{table.capitalize()} with name [{name}] already exists")


@router.get("/v1/institutions")
async def list_institutions(world: InWorld, _: AdminServiceDeveloper) -> list[dict[str, object]]:
    async with world.store.transaction() as db:
        found = await rows(db, "SELECT * FROM institution ORDER BY name")
    return [_institution_view(row) for row in found]


@router.get("/v1/institutions/{institution}", response_model=None)
async def get_institution(
    institution: str, world: InWorld, _: AdminServiceDeveloper
) -> dict[str, object] | Response:
    async with world.store.transaction() as db:
        row = await one(db, "SELECT * FROM institution WHERE name = %s", institution)
    return _institution_view(row) if row else Response(status_code=204)


@router.post("/v1/institutions")
async def create_institution(body: NewPlace, world: InWorld, _: Admin) -> dict[str, object]:
    row: Row = {"name": body.name, "role_restrictions": body.roles}
    async with world.store.transaction() as db:
        await _insert(db, "institution", row)
    return _institution_view(row)


@router.get("/v1/institutions/{institution}/collections")
async def list_collections(
    institution: str, world: InWorld, _: AdminServiceDeveloper
) -> list[dict[str, object]]:
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        sql = "SELECT * FROM collection WHERE institution = %s ORDER BY name"
        found = await rows(db, sql, institution)
    return [_institution_view(row) | {"institution": institution} for row in found]


@router.post("/v1/institutions/{institution}/collections")
async def create_collection(
    institution: str, body: NewPlace, world: InWorld, _: Admin
) -> dict[str, object]:
    row: Row = {"institution": institution, "name": body.name, "role_restrictions": body.roles}
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        await _insert(db, "collection", row)
    return _institution_view(row) | {"institution": institution}


@router.get("/v1/institutions/{institution}/pipelines")
async def list_pipelines(
    institution: str, world: InWorld, _: AdminServiceDeveloper
) -> list[dict[str, str]]:
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        sql = "SELECT name FROM pipeline WHERE institution = %s ORDER BY name"
        found = await rows(db, sql, institution)
    return [{"name": row["name"], "institution": institution} for row in found]


@router.post("/v1/institutions/{institution}/pipelines")
async def create_pipeline(
    institution: str, body: NewPipeline, world: InWorld, _: Admin
) -> dict[str, str]:
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        await _insert(db, "pipeline", {"institution": institution, "name": body.name})
    return {"name": body.name, "institution": institution}


@router.get("/v1/institutions/{institution}/workstations")
async def list_workstations(
    institution: str, world: InWorld, _: AdminServiceDeveloper
) -> list[dict[str, str]]:
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        sql = "SELECT name, status FROM workstation WHERE institution = %s ORDER BY name"
        found = await rows(db, sql, institution)
    return [
        {"name": row["name"], "status": row["status"], "institution_name": institution}
        for row in found
    ]


@router.post("/v1/institutions/{institution}/workstations")
async def create_workstation(
    institution: str, body: NewWorkstation, world: InWorld, _: Admin
) -> dict[str, str]:
    row: Row = {"institution": institution, "name": body.name, "status": body.status}
    async with world.store.transaction() as db:
        await _known_institution(db, institution)
        await _insert(db, "workstation", row)
    return {"name": body.name, "status": body.status, "institution_name": institution}


@router.put("/v1/institutions/{institution}/workstations/{name}", status_code=204)
async def update_workstation(
    institution: str, name: str, body: WorkstationUpdate, world: InWorld, _: AdminService
) -> None:
    async with world.store.transaction() as db:
        sql = "UPDATE workstation SET status = %s WHERE institution = %s AND name = %s"
        if await run(db, sql, body.status, institution, name) == 0:
            raise BadRequest("Workstation does not exist")
