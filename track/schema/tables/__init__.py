"""Every table of the refinery, in the three schemas a museum calls its databases.

`track` says where each specimen is, `metadata` what is known of it, `mos` which
specimens share an object. SQLAlchemy Core: rows are read and written by plain
statements, since states move by guarded UPDATEs and never by a unit of work.

A file here is one subject; all of them together are the catalogue, so tables are
imported from here.
"""

from track.schema.tables.assets import asset, session
from track.schema.tables.columns import catalogue
from track.schema.tables.copies import file, retention, retention_rule
from track.schema.tables.documents import document, member, revision
from track.schema.tables.jobs import attempt, dispatcher, job
from track.schema.tables.messages import history, inbox, outbox
from track.schema.tables.pipelines import edge, pipeline, stage
from track.schema.tables.sites import agent, batch, site
from track.schema.tables.summaries import (
    asset_hour,
    job_total,
    search,
    search_fill,
    usage_hour,
    usage_total,
)
from track.schema.tables.uploads import upload

SCHEMAS = ("track", "metadata", "mos")

__all__ = [
    "SCHEMAS",
    "agent",
    "asset",
    "asset_hour",
    "attempt",
    "batch",
    "catalogue",
    "dispatcher",
    "document",
    "edge",
    "file",
    "history",
    "inbox",
    "job",
    "job_total",
    "member",
    "outbox",
    "pipeline",
    "retention",
    "retention_rule",
    "revision",
    "search",
    "search_fill",
    "session",
    "site",
    "stage",
    "upload",
    "usage_hour",
    "usage_total",
]
