"""Metadata with their revisions, and which specimens share an object."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from track.schema.tables.columns import index, now, table

document = table(
    "document",
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("body", JSONB, nullable=False),  # canonical v3
    Column("arrived", JSONB, nullable=False),  # as it came
    Column("arrived_version", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("ars_revision", Integer, nullable=False, server_default=text("0")),
    now("updated_at"),
    index("document_owed", "asset_guid", where="revision > ars_revision"),
    schema="metadata",
)

revision = table(
    "revision",
    Column("asset_guid", ForeignKey("metadata.document.asset_guid"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    now("at"),
    Column("actor", Text, nullable=False),
    Column("changes", JSONB, nullable=False),  # [{field, old, new}]
    schema="metadata",
)

member = table(
    "member",
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("label", Boolean, nullable=False),
    Column("spid", Text, nullable=False),
    Column("disposable_id", Text),
    Column("unique_label_id", Text),  # null without a disposable label: no link
    Column("own_barcodes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    now("created_at"),
    index("member_label", "unique_label_id"),
    schema="mos",
)
