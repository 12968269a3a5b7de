"""What is kept beside the rows it comes from, so that pages and figures need not read them all."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR

from track.schema.hours import ASSET_COUNTS, USAGE_COLUMNS
from track.schema.tables.columns import index, table, when

search = table(  # what each specimen is found by: see track/records/search.py
    "search",
    Column("asset_guid", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),  # when it was registered
    when("taken_at"),  # by its document
    Column("numbers", Text, nullable=False, server_default=text("''")),  # its barcodes, in lines
    Column("base", TSVECTOR, nullable=False, server_default=text("''")),  # without its document
    Column("words", TSVECTOR, nullable=False, server_default=text("''")),
    index("search_at", "at", "asset_guid"),
    index("search_taken", "taken_at"),
    index("search_words", "words", using="gin"),
)

search_fill = table(  # one row until all are in that were there before: the last that is
    "search_fill",
    Column("done_to", Text, nullable=False),
)

job_total = table(  # of jobs that are over, by rows that add up: see track/schema/totals.py
    "job_total",
    Column("stage_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
)

usage_total = table(  # the same of what modules took; of `peak_mb` the largest counts
    "usage_total",
    Column("stage_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("images", BigInteger, nullable=False),
    *(Column(name, Double, nullable=False) for name in ("seconds", "cpu_s", "peak_mb")),
)


def _folded() -> Column[bool]:
    return Column("folded", Boolean, nullable=False, server_default=text("false"))


asset_hour = table(  # what came and ended in an hour, by rows that add up: track/schema/hours.py
    "asset_hour",
    Column("hour", DateTime(timezone=True), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ASSET_COUNTS),
    _folded(),
    index("asset_hour_folded", "hour", where="folded", unique=True),
    index("asset_hour_new", "hour", where="NOT folded"),
)

usage_hour = table(  # the same of what attempts took that ended in it
    "usage_hour",
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("stage_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    *(
        Column(
            name,
            BigInteger if name.endswith("_n") else Double,
            nullable=name.endswith(("_least", "_most")),
        )
        for name in USAGE_COLUMNS
    ),
    _folded(),
    index("usage_hour_folded", "hour", "stage_id", "site", where="folded", unique=True),
    index("usage_hour_new", "hour", where="NOT folded"),
)
