"""`/__sim`: what a test may ask and do behind the archive's back.

Mounted only when the configuration says so; it knows no sign-in.
"""

import re
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from demo.ars import erda, seed
from demo.ars.clock import iso
from demo.ars.faults import Rule
from demo.ars.store import rows, run
from demo.ars.world import InWorld, World


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(Strict):
    seconds: float = Field(ge=0)


class DiskSize(Strict):
    disk_mb: int = Field(ge=0)


class NewClient(Strict):
    client_id: str
    client_secret: str
    roles: list[str]


class Seed(Strict):
    clients: list[NewClient] = Field(default_factory=list)


def control_app(world: World) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.state.world = world
    app.get("/requests")(read_requests)
    app.post("/faults", status_code=204)(add_fault)
    app.delete("/faults", status_code=204)(clear_faults)
    app.post("/tick")(force_tick)
    app.post("/clock")(advance_clock)
    app.post("/disk", status_code=204)(set_disk)
    app.post("/locks/forget", status_code=204)(forget_locks)
    app.post("/tokens/revoke", status_code=204)(revoke_tokens)
    app.post("/seed", status_code=204)(add_seed)
    app.post("/reset", status_code=204)(reset)
    return app


async def read_requests(
    world: InWorld,
    guid: str | None = None,
    method: str | None = None,
    path_regex: str | None = None,
) -> list[dict[str, Any]]:
    """Every request since the last reset, oldest first.

    `status` is what the client was sent (null: cut off), `effect_status` what the archive
    answered before a fault struck (null: the archive never saw the request).
    """
    async with world.store.transaction() as db:
        found = await rows(db, "SELECT * FROM request ORDER BY request_id")
    return [
        row | {"at": iso(row["at"])}
        for row in found
        if (guid is None or row["guid"] == guid)
        and (method is None or row["method"] == method.upper())
        and (path_regex is None or re.search(path_regex, row["path"]))
    ]


async def add_fault(rule: Rule, world: InWorld) -> None:
    world.faults.add(rule)


async def clear_faults(world: InWorld) -> None:
    world.faults.clear()


async def force_tick(world: InWorld) -> dict[str, int]:
    """Run the ERDA job now and wait for its end."""
    return asdict(await erda.tick(world))


async def advance_clock(body: Advance, world: InWorld) -> dict[str, str | None]:
    world.clock.advance(body.seconds)
    return {"now": iso(world.clock.now())}


async def set_disk(body: DiskSize, world: InWorld) -> None:
    world.disk_mb = body.disk_mb


async def forget_locks(world: InWorld) -> None:
    """Drop the guid locks, as a restart does."""
    world.forget()


async def revoke_tokens(world: InWorld) -> None:
    async with world.store.transaction() as db:
        await world.tokens.revoke_all(db)


async def add_seed(body: Seed, world: InWorld) -> None:
    async with world.store.transaction() as db:
        for client in body.clients:
            await seed.add_client(db, client.client_id, client.client_secret, client.roles)


async def reset(world: InWorld) -> None:
    """An archive on its first day again; the signing key and the clock stay."""
    async with world.ticking:
        async with world.store.transaction() as db:
            await run(
                db,
                "TRUNCATE request, file, share, event, asset_specimen, asset, specimen, term,"
                " workstation, pipeline, collection, institution, client RESTART IDENTITY",
            )
            await seed.seed(db, world.config)
        world.folders.wipe()
        world.faults.clear()
        world.forget()
        world.disk_mb = world.config.disk_mb
