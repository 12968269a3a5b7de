"""Whether a workstation is in service: no asset is created from one that is not."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from demo.ars.errors import BadRequest
from demo.ars.roles import AdminService
from demo.ars.store import run
from demo.ars.world import InWorld

router = APIRouter()


class WorkstationUpdate(BaseModel):
    status: Literal["IN_SERVICE", "OUT_OF_SERVICE"]


@router.put("/v1/institutions/{institution}/workstations/{name}", status_code=204)
async def update_workstation(
    institution: str, name: str, body: WorkstationUpdate, world: InWorld, _: AdminService
) -> None:
    async with world.store.transaction() as db:
        sql = "UPDATE workstation SET status = %s WHERE institution = %s AND name = %s"
        if await run(db, sql, body.status, institution, name) == 0:
            raise BadRequest("Workstation does not exist")
