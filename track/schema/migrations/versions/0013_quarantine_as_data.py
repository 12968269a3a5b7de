"""Store why a file was not taken in as file, problem and remedy, no longer as one sentence."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from track.schema.views import FLAGS

revision = "0013"
down_revision = "0012"


def parted(sentence: str, specimen: str = "") -> dict[str, str]:
    """The three parts of `FILE: PROBLEM; REMEDY`, which put together give the same sentence.

    A file that is called like its specimen is not parted within that name. What is no such
    sentence is all problem.
    """
    named = len(specimen) if sentence.startswith(specimen) else 0
    colon = sentence.find(": ", named)
    problem, semicolon, remedy = sentence[colon + 2 :].rpartition("; ")
    if colon < 1 or not semicolon or not remedy:
        return {"file": "", "problem": sentence, "remedy": ""}
    return {"file": sentence[:colon], "problem": problem, "remedy": remedy}


def upgrade() -> None:
    """Convert assets' and sessions' sentences; the view of the track record reads the new column.

    The old column is renamed first, so that the view and who may read it stay.
    """
    database = op.get_bind()
    op.alter_column("asset", "quarantine", new_column_name="quarantine_text", schema="track")
    op.add_column("asset", sa.Column("quarantine", JSONB()), schema="track")
    assets = (
        "SELECT guid, file_name, quarantine_text FROM track.asset WHERE quarantine_text IS NOT NULL"
    )
    for guid, specimen, sentence in database.execute(sa.text(assets)).all():
        parts = json.dumps(parted(sentence, specimen))
        statement = "UPDATE track.asset SET quarantine = CAST(:parts AS jsonb) WHERE guid = :guid"
        database.execute(sa.text(statement), {"parts": parts, "guid": guid})
    sessions = "SELECT id, known FROM track.session WHERE known <> '[]'"
    for session, known in database.execute(sa.text(sessions)).all():
        parts = json.dumps([parted(sentence) for sentence in known])
        statement = "UPDATE track.session SET known = CAST(:parts AS jsonb) WHERE id = :id"
        database.execute(sa.text(statement), {"parts": parts, "id": session})
    op.execute(FLAGS)
    op.drop_column("asset", "quarantine_text", schema="track")
