"""Actuator pages of the two services, with the fields their callers read."""

import shutil
from typing import Any

from fastapi import APIRouter

from demo.ars.store import one
from demo.ars.world import InWorld, World

router = APIRouter()


async def _database(world: World) -> dict[str, Any]:
    async with world.store.transaction() as db:
        await one(db, "SELECT 1 AS alive")
    return {"status": "UP", "details": {"database": "PostgreSQL", "validationQuery": "isValid()"}}


@router.get("/actuator/health")
async def health(world: InWorld) -> dict[str, Any]:
    """Database and disk; `free` is bytes on the disk under the share mount."""
    disk = shutil.disk_usage(world.config.share_dir)
    details = {"total": disk.total, "free": disk.free, "threshold": 10_485_760, "exists": True}
    return {
        "status": "UP",
        "components": {
            "db": await _database(world),
            "diskSpace": {"status": "UP", "details": details},
            "ping": {"status": "UP"},
        },
    }
