"""What the stand-in knows from the start: the names real sessions use.

Seeding adds what is missing and touches nothing else, so it runs at every start.
"""

from demo.ars.config import StandInConfig
from demo.ars.keycloak import secret_hash
from demo.ars.store import Connection, insert

INSTITUTIONS = ("NHMD", "NHMA", "AU", "test-institution")
COLLECTIONS = ("Vascular plants", "NHMD Vascular Plants", "Entomology", "test-collection")
PIPELINES = (
    "PIPEHERB0001",
    "PIPEPIOF0001",
    "PIPEPIOF0002",
    "PIPECONTROL",
    "DERIVATIVE",
    "ti-p1",
    "test-pipeline",
)
WORKSTATIONS = (
    *(f"WORKHERB000{n}" for n in (1, 2, 3)),
    *(f"WORKPIOF000{n}" for n in (1, 2, 3)),
    "ti-ws-01",
    "test-workstation",
)
TERMS = {
    "preparation_type": ("slide", "pinning", "sheet", "pinned", "dry"),
    "subject": ("folder", "specimen", "label", "device target"),
    "issue_category": ("image quality", "metadata", "barcode", "label"),
    "status": (
        "WORKING_COPY",
        "ARCHIVE",
        "BEING_PROCESSED",
        "PROCESSING_HALTED",
        "ISSUE_WITH_MEDIA",
        "ISSUE_WITH_METADATA",
        "FOR_DELETION",
    ),
    "file_format": ("TIF", "JPEG", "RAW", "RAF", "CR3", "DNG", "TXT"),
}


async def seed(db: Connection, config: StandInConfig) -> None:
    """Vocabularies, institutions with everything in each, and the configured client."""
    for kind, names in TERMS.items():
        for name in names:
            await insert(db, "term", conflict="DO NOTHING", kind=kind, name=name)
    members = {"collection": COLLECTIONS, "pipeline": PIPELINES, "workstation": WORKSTATIONS}
    for institution in INSTITUTIONS:
        await insert(db, "institution", conflict="DO NOTHING", name=institution)
        for table, names in members.items():
            for name in names:
                known = {"institution": institution, "name": name}
                await insert(db, table, conflict="DO NOTHING", **known)
    await add_client(db, config.client_id, config.client_secret, list(config.client_roles))


async def add_client(db: Connection, client_id: str, secret: str, roles: list[str]) -> None:
    """A service account; its secret and roles are replaced if it exists."""
    await insert(
        db,
        "client",
        client_id=client_id,
        secret_sha256=secret_hash(secret),
        roles=roles,
        conflict="(client_id) DO UPDATE"
        " SET secret_sha256 = EXCLUDED.secret_sha256, roles = EXCLUDED.roles",
    )
