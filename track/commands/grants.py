"""A grant: all that a module needs to know, put together once its start is granted.

Files are named by where the archive's open share offers them, never by a path of ours.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import CommandGrant, DerivativeName, Grant, LinkedFile, Token
from schemas.guid import GuidError, derivative_guid
from schemas.metadata.document import Metadata
from track.commands.attention import zeros_accepted
from track.jobs.agents import prefixes_of
from track.jobs.attempts import Attempt
from track.records.documents import NoDocument, read_document
from track.records.files import expected_files
from track.schema.tables import asset, job, pipeline, stage


async def make_grant(
    tx: AsyncConnection, attempt: Attempt, *, file_proxy: str, token: Token | None
) -> Grant:
    """The answer to a granted start. Raises NoDocument.

    `file_proxy` is the base of the archive's file service, `token` lets its files be read
    and written. A stage that uploads gets the asset's files as `uploads`, any other as `inputs`;
    a command that asks for no inputs gets none, and needs no document.
    """
    step = await _step(tx, attempt)
    prefixes = await prefixes_of(tx, attempt.agent_id)
    uploads = step.kind == "module" and step.run == "upload"
    files: tuple[LinkedFile, ...] = ()
    if step.command is None or step.command["inputs"]:
        metadata = await read_document(tx, attempt.guid)
        files = await _files(tx, attempt.guid, metadata, file_proxy)
        body = metadata.canonical()
    else:
        body = await _known_metadata(tx, attempt.guid)
    return Grant(
        attempt=attempt.id,
        guid=attempt.guid,
        stage=attempt.stage,
        module=step.run,
        params=_as_there(step.params, prefixes),
        metadata=body,
        inputs=() if uploads else files,
        # What a person has accepted of an image, no module refuses again.
        accept_black=await zeros_accepted(tx, attempt.guid),
        results=await _results(tx, attempt.guid, step.position),
        children=children(attempt.guid, step.params) if step.emits else (),
        parent_guid=step.parent_guid,
        uploads=files if uploads else (),
        outputs=_outputs(step.written, step.key),
        command=None if step.command is None else _command(step, attempt, prefixes),
        ars=token,
    )


def _as_there(params: dict[str, Any], prefixes: Mapping[str, str]) -> dict[str, Any]:
    """Parameters in which paths are called as an agent's machine does."""
    return {name: _renamed(value, prefixes) for name, value in params.items()}


def _renamed(value: Any, prefixes: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(each, prefixes) for each in value]
    if not isinstance(value, str):
        return value
    for ours in sorted(prefixes, key=len, reverse=True):
        if value == ours or value.startswith(f"{ours.rstrip('/')}/"):
            return prefixes[ours].rstrip("/") + value[len(ours.rstrip("/")) :]
    return value


def file_url(file_proxy: str, metadata: Metadata, name: str) -> str:
    """Where a file of an asset is in its open share."""
    steps = (metadata.institution, metadata.collection, metadata.asset_guid, name)
    # A step of dots alone would be read as a way up, however it is escaped.
    path = "/".join(
        quote(step, safe="") if step.strip(".") else "%2E" * len(step) for step in steps
    )
    return f"{file_proxy.rstrip('/')}/assetfiles/{path}"


def children(guid: str, params: dict[str, Any]) -> tuple[DerivativeName, ...]:
    """The names of the derivatives that a stage is asked for; none for an asset that is one."""
    asked = params.get("ppi", [])
    try:
        return tuple(
            DerivativeName(ppi=ppi, guid=derivative_guid(guid, n, ppi))
            for n, ppi in enumerate(asked if isinstance(asked, list) else [asked], start=1)
        )
    except GuidError:
        return ()


def _command(step: Row[Any], of: Attempt, prefixes: Mapping[str, str]) -> CommandGrant:
    """The command of a stage with what its placeholders stand for; an axis only where it has one.

    As in a script's line, an asset that is no derivative has an empty parent.
    """
    place = {axis: getattr(step, axis) for axis in "xyz"}
    values = {
        "guid": of.guid,
        "parent_guid": step.parent_guid or "",
        "batch": step.batch_name,
        "pipeline": step.pipeline,
        "stage": of.stage,
    }
    values |= {axis: str(number) for axis, number in place.items() if number is not None}
    words = _renamed(step.command["words"], prefixes)
    return CommandGrant(values=values, **step.command | {"words": words})


async def _known_metadata(tx: AsyncConnection, guid: str) -> dict[str, Any]:
    """The canonical metadata of an asset; nothing where none is known."""
    try:
        return (await read_document(tx, guid)).canonical()
    except NoDocument:
        return {}


async def _files(
    tx: AsyncConnection, guid: str, metadata: Metadata, file_proxy: str
) -> tuple[LinkedFile, ...]:
    return tuple(
        LinkedFile(
            name=row.name,
            crc32=row.crc32,
            size_bytes=row.size_bytes,
            url=file_url(file_proxy, metadata, row.name),
        )
        for row in await expected_files(tx, guid)
    )


async def _step(tx: AsyncConnection, attempt: Attempt) -> Row[Any]:
    """The attempt's stage, with the stages of its pipeline as they are `written` now, and what
    is known of its asset's kin and place."""
    written = pipeline.c.definition["stages"].label("written")
    about = (asset.c[name] for name in ("parent_guid", "batch_name", "x", "y", "z"))
    statement = (
        select(stage, written, pipeline.c.name.label("pipeline"), *about)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .join(asset, asset.c.guid == attempt.guid)
        .where(stage.c.id == attempt.stage_id)
    )
    return (await tx.execute(statement)).one()


def _outputs(stages: list[dict[str, Any]] | None, key: str) -> tuple[str, ...]:
    """The files that the stage of this key declares."""
    return next((tuple(each.get("outputs", ())) for each in stages or () if each["key"] == key), ())


async def _results(tx: AsyncConnection, guid: str, position: int) -> dict[str, dict[str, Any]]:
    """What earlier stages of the asset handed on, by stage."""
    statement = (
        select(stage.c.key, job.c.details)
        .join(job, job.c.stage_id == stage.c.id)
        .where(job.c.asset_guid == guid, job.c.details.is_not(None))
        .where(stage.c.position < position, stage.c.archived_at.is_(None))
        .order_by(stage.c.position, stage.c.id)
    )
    return {row.key: row.details for row in await tx.execute(statement)}
