"""What came, what ended and what modules took, by the hour, kept by the database as it goes.

A page that shows two weeks, or a report of a month, would else read every asset and attempt of
that time. As in `track.schema.totals`, whatever happens appends a row of its own, so that nobody
waits for anybody; reconcile folds what is new into one row of each hour. Only rows that are not
folded yet are looked at for that, however many years there are.

An hour is one of UTC: the days of every zone whose offset is whole hours are sums of them.
"""

MEASURES = ("seconds", "cpu_s", "mb", "wait_s")
"""What is kept of an attempt: its wall clock, processor time and largest memory, and how long it
was in its site's queue before its start."""

ASSET_COUNTS = ("sessions", "images", "derivatives", "archived", "archived_derivatives")
"""What is counted of sessions and assets: each when it came, assets also at their first end."""

_HOUR = "date_bin(interval '1 hour', {at}, TIMESTAMPTZ '2000-01-01 00:00+00')"


def hour_of(at: str) -> str:
    """The beginning of the hour of a moment, as SQL."""
    return _HOUR.format(at=at)


def _counted(**counts: str) -> str:
    """The columns of a row that counts only these."""
    return ", ".join(counts.get(name, "0") for name in ASSET_COUNTS)


_COUNTS = ", ".join(ASSET_COUNTS)

COUNT_CAME = f"""
CREATE OR REPLACE FUNCTION track.count_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO track.asset_hour (hour, {_COUNTS})
    SELECT {hour_of("created_at")},
           {
    _counted(images="count(*) FILTER (WHERE parent_guid IS NULL)", derivatives="count(parent_guid)")
}
    FROM came GROUP BY 1;
    RETURN NULL;
END $$
"""

COUNT_OPENED = f"""
CREATE OR REPLACE FUNCTION track.count_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO track.asset_hour (hour, {_COUNTS})
    VALUES ({hour_of("NEW.opened_at")}, {_counted(sessions="1")});
    RETURN NULL;
END $$
"""

COUNT_ARCHIVED = f"""
CREATE OR REPLACE FUNCTION track.count_archived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO track.asset_hour (hour, {_COUNTS})
    SELECT {hour_of("NEW.finalised_at")},
           {
    _counted(
        archived="CASE WHEN NEW.parent_guid IS NULL THEN 1 ELSE 0 END",
        archived_derivatives="CASE WHEN NEW.parent_guid IS NULL THEN 0 ELSE 1 END",
    )
};
    RETURN NULL;
END $$
"""

_PARTS = ("n", "sum", "least", "most")
USAGE_COLUMNS = tuple(f"{measure}_{part}" for measure in MEASURES for part in _PARTS)
"""Of each measure how many attempts told it, their sum, the least and the most."""


def _usage(name: str, value: str) -> str:
    return (
        f"count({value}) AS {name}_n, coalesce(sum({value}), 0) AS {name}_sum, "
        f"min({value}) AS {name}_least, max({value}) AS {name}_most"
    )


def usage_of(attempt: str) -> str:
    """The columns of usage of these attempts, aggregated, as SQL."""
    begun, queued = f"{attempt}.started_at", f"{attempt}.queued_at"
    waited = f"CASE WHEN {begun} >= {queued} THEN extract(epoch FROM {begun} - {queued}) END"
    values = {"mb": f"{attempt}.max_rss_mb", "wait_s": f"CAST({waited} AS float)"}
    return ", ".join(_usage(name, values.get(name, f"{attempt}.{name}")) for name in MEASURES)


_USAGE = f"hour, stage_id, site, {', '.join(USAGE_COLUMNS)}"
_CLOSED = hour_of("coalesce(t.closed_at, t.finished_at, t.queued_at)")

COUNT_TAKEN = f"""
CREATE OR REPLACE FUNCTION track.count_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO track.usage_hour ({_USAGE})
    SELECT {hour_of("now()")}, j.stage_id, t.site, {usage_of("t")}
    FROM (SELECT NEW.*) t JOIN track.job j ON j.id = t.job_id
    GROUP BY j.stage_id, t.site;
    RETURN NULL;
END $$
"""

TRIGGERS = (
    """
    CREATE TRIGGER asset_came AFTER INSERT ON track.asset REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION track.count_came()
    """,
    """
    CREATE TRIGGER session_opened AFTER INSERT ON track.session FOR EACH ROW
    EXECUTE FUNCTION track.count_opened()
    """,
    # Of one that was opened again after its end (`reopened_at`) the first end counts.
    """
    CREATE TRIGGER asset_archived AFTER UPDATE OF finalised_at ON track.asset FOR EACH ROW
    WHEN (OLD.finalised_at IS NULL AND NEW.finalised_at IS NOT NULL AND OLD.reopened_at IS NULL)
    EXECUTE FUNCTION track.count_archived()
    """,
    """
    CREATE TRIGGER attempt_taken AFTER UPDATE OF seconds ON track.attempt FOR EACH ROW
    WHEN (OLD.seconds IS NULL AND NEW.seconds IS NOT NULL) EXECUTE FUNCTION track.count_taken()
    """,
)

FIRST_HOURS = (
    f"""
    INSERT INTO track.asset_hour (hour, {_COUNTS})
    SELECT hour, {", ".join(f"sum({name})" for name in ASSET_COUNTS)}
    FROM (
        SELECT {hour_of("opened_at")}, {_counted(sessions="1")} FROM track.session
        UNION ALL
        SELECT {hour_of("created_at")},
               {
        _counted(
            images="CASE WHEN parent_guid IS NULL THEN 1 ELSE 0 END",
            derivatives="CASE WHEN parent_guid IS NULL THEN 0 ELSE 1 END",
        )
    }
        FROM track.asset
        UNION ALL
        SELECT {hour_of("finalised_at")},
               {
        _counted(
            archived="CASE WHEN parent_guid IS NULL THEN 1 ELSE 0 END",
            archived_derivatives="CASE WHEN parent_guid IS NULL THEN 0 ELSE 1 END",
        )
    }
        FROM track.asset WHERE finalised_at IS NOT NULL
    ) each (hour, {_COUNTS}) GROUP BY hour
    """,
    f"""
    INSERT INTO track.usage_hour ({_USAGE})
    SELECT {_CLOSED}, j.stage_id, t.site, {usage_of("t")}
    FROM track.attempt t JOIN track.job j ON j.id = t.job_id
    WHERE t.seconds IS NOT NULL GROUP BY 1, 2, 3
    """,
)
"""All that there is already, once; the triggers are there by then, and hold off others."""

ALL = (COUNT_CAME, COUNT_OPENED, COUNT_ARCHIVED, COUNT_TAKEN, *TRIGGERS, *FIRST_HOURS)


def _together(name: str, table: str) -> str:
    """A column of the folded row and of what is added to it."""
    mine, other = f"{table}.{name}", f"excluded.{name}"
    if name.endswith("_least"):
        return f"{name} = least({mine}, {other})"
    if name.endswith("_most"):
        return f"{name} = greatest({mine}, {other})"
    return f"{name} = {mine} + {other}"


def added_up(name: str) -> str:
    """A column of several rows as one."""
    how = {"least": "min", "most": "max"}.get(name.rpartition("_")[2], "sum")
    return f"{how}({name})"


def _fold(table: str, key: str, columns: tuple[str, ...]) -> str:
    return f"""
    WITH fresh AS (DELETE FROM track.{table} WHERE NOT folded RETURNING *)
    INSERT INTO track.{table} ({key}, {", ".join(columns)}, folded)
    SELECT {key}, {", ".join(map(added_up, columns))}, true FROM fresh GROUP BY {key} ORDER BY {key}
    ON CONFLICT ({key}) WHERE folded
    DO UPDATE SET {", ".join(_together(name, table) for name in columns)}
    """


FOLD_ASSETS_BY_HOUR = _fold("asset_hour", "hour", ASSET_COUNTS)
FOLD_USAGE_BY_HOUR = _fold("usage_hour", "hour, stage_id, site", USAGE_COLUMNS)
"""Two that fold at once take different rows; whoever reads meanwhile sees all of the old rows or
all of the new."""
