"""What an asset must satisfy before it is stored, in the archive's order and words.

The order is part of the contract: a client learns one problem at a time, and which one it
learns first decides what it does next.
"""

from demo.ars import assets, specimens
from demo.ars.documents import AssetBody, AssetSpecimenBody, IssueBody
from demo.ars.errors import BadRequest, IllegalAction, Internal
from demo.ars.folders import is_safe_name
from demo.ars.roles import allowed
from demo.ars.store import Connection, Row, find, is_term
from demo.ars.tokens import User


async def before_lock(db: Connection, body: AssetBody) -> None:
    """The first part of a creation: what is checked before the guid is locked."""
    if body.asset_guid is None:
        raise BadRequest("asset_guid cannot be null")
    if not is_safe_name(body.asset_guid):
        raise BadRequest(f"asset_guid cannot be used in a path: {body.asset_guid}")
    if body.asset_pid is None:
        raise BadRequest("asset_pid cannot be null")
    await described(db, body)


async def described(db: Connection, body: AssetBody) -> None:
    """Status, parents, issues and specimens; the same for creation and update."""
    if body.status is None or not await is_term(db, "status", body.status):
        raise BadRequest("Status cannot be null")
    if "" in body.parents:
        raise BadRequest("Parent may not be an empty string")
    for issue in body.issues or []:
        await _issue(db, issue)
    for link in body.specimens:
        await _specimen(db, link)


async def _issue(db: Connection, issue: IssueBody) -> None:
    if issue.category is None:
        raise BadRequest("Issue category cannot be null")
    if not await is_term(db, "issue_category", issue.category):
        raise BadRequest("Issue category doesnt exists")
    if issue.status is None:
        raise BadRequest("Issue status cannot be null")
    if issue.solved is None:
        raise BadRequest("Issue solved cannot be null")


async def _specimen(db: Connection, link: AssetSpecimenBody) -> None:
    specimen = await specimens.resolve(db, link)
    if link.asset_preparation_type not in specimen["preparation_types"]:
        raise BadRequest(
            f"{link.asset_preparation_type} is not a preparation_type of specimen"
            f" {specimen['specimen_pid']}"
        )


async def creation(db: Connection, body: AssetBody, allocation_mb: int, user: User) -> None:
    """The second part of a creation: what is checked while the guid is locked."""
    if await assets.load(db, body.guid):
        raise BadRequest(f"Asset {body.guid} already exists")
    if allocation_mb == 0:
        raise BadRequest("Allocation cannot be 0")
    await may_write(db, body, user)
    await belongs(db, body, digitiser_required=True)
    if body.asset_subject and not await is_term(db, "subject", body.asset_subject):
        # Creation does not learn subjects; the row's reference to the list breaks instead.
        raise Internal(f"asset_subject {body.asset_subject} is not in the list of subjects")


async def may_write(db: Connection, body: AssetBody, user: User) -> None:
    """Every level that is restricted must let `user` write."""
    known = [await find(db, "institution", name=body.institution), await _collection(db, body)]
    levels = [row["role_restrictions"] for row in known if row]
    if not all(allowed(user, "WRITE", level) for level in (*levels, body.restrictions)):
        raise IllegalAction("FORBIDDEN")


async def _collection(db: Connection, body: AssetBody) -> Row | None:
    return await find(db, "collection", institution=body.institution, name=body.collection)


async def belongs(db: Connection, body: AssetBody, *, digitiser_required: bool) -> None:
    """Institution, collection, pipeline, workstation, formats, publishers and parents exist."""
    if body.collection is not None and body.institution is not None:
        if await find(db, "institution", name=body.institution) is None:
            raise BadRequest("Institution doesnt exist")
        if await _collection(db, body) is None:
            raise BadRequest("Collection doesnt exist")
    if body.institution is None:
        raise BadRequest("Institution cannot be null")
    if body.collection is None:
        raise BadRequest("Collection cannot be null")
    if digitiser_required and not body.digitiser:
        raise BadRequest("digitiser cannot be null when creating asset")
    if body.asset_guid in body.parents:
        raise BadRequest("Asset cannot be its own parent")
    await _equipment(db, body)
    await _named(db, body)


async def _equipment(db: Connection, body: AssetBody) -> None:
    place = body.institution
    if await find(db, "pipeline", institution=place, name=body.pipeline) is None:
        raise BadRequest("Pipeline doesnt exist in this institution")
    workstation = await find(db, "workstation", institution=place, name=body.workstation)
    if workstation is None:
        raise BadRequest("Workstation does not exist")
    if workstation["status"] == "OUT_OF_SERVICE":
        raise IllegalAction("Workstation [OUT_OF_SERVICE] is marked as out of service")


async def _named(db: Connection, body: AssetBody) -> None:
    for file_format in body.file_formats or []:
        if not await is_term(db, "file_format", file_format):
            raise BadRequest(f"{file_format} is not a valid file format")
    for publication in body.external_publishers or []:
        if not await is_term(db, "publisher", publication.name or ""):
            raise BadRequest(f"Publisher {publication.name} doesnt exist")
    for parent in body.parents:
        if await assets.load(db, parent) is None:
            raise BadRequest("Parent doesnt exist")
