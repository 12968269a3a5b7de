"""The migrations and the tables in the code are the same database."""

from uuid import UUID, uuid5

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from refinery.local.postgres import EmbeddedPostgres
from schemas.events import NAMESPACE, SESSION_READY, SESSION_WAKE, session_event
from track.schema.migrations import config, upgrade
from track.schema.tables import SCHEMAS, catalogue


def test_a_migrated_database_has_exactly_the_tables_of_the_code(
    postgres: EmbeddedPostgres, template: str
) -> None:
    engine = create_engine(postgres.url(template))
    options = {
        "target_metadata": catalogue,
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name in SCHEMAS,
        "compare_type": True,
    }
    with engine.connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts=options), catalogue
        )
        checks = {
            check["name"]
            for schema in SCHEMAS
            for table in inspect(connection).get_table_names(schema)
            for check in inspect(connection).get_check_constraints(table, schema)
        }
    engine.dispose()
    assert differences == []
    assert {"job_state", "stage_kind", "edge_selector", "batch_state", "site_kind"} <= checks


def test_migrating_again_changes_nothing(postgres: EmbeddedPostgres, template: str) -> None:
    upgrade(postgres.url(template))


LANDED = """
    INSERT INTO track.pipeline (name, definition, definition_hash) VALUES ('P', '{}', 'h');
    INSERT INTO track.stage (pipeline_id, key, kind, run, position)
        SELECT id, 'create', 'builtin', 'create', 0 FROM track.pipeline;
    INSERT INTO track.session (path, opened_as, listing_hash, workstation)
        VALUES ('/a', '/a', 'x', 'W');
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, size_mb)
        SELECT 'g', s.id, p.id, 'g', 5 FROM track.session s, track.pipeline p;
    INSERT INTO track.job (asset_guid, stage_id, state) SELECT 'g', id, 'done' FROM track.stage;
"""


def test_a_database_with_specimens_under_way_is_brought_up_to_date(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.ensure_database("under_way")
    url = postgres.url("under_way")
    command.upgrade(config(url), "0004")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(LANDED))
    upgrade(url)
    with engine.begin() as connection:
        # Nobody has noted whether its share is open: it counts until somebody has looked.
        found = connection.execute(text("SELECT _id, has_open_share FROM track.dassco")).all()
        shares = connection.execute(text("SELECT share_mb FROM track.asset")).scalars().all()
    engine.dispose()
    assert ([tuple(row) for row in found], list(shares)) == ([("g", "YES")], [5])


UNSENT = """
    INSERT INTO track.session (id, path, opened_as, listing_hash, workstation, opened_at,
                               announced_at, wake_requested_at, wake_announced_at) VALUES
        ('00000000-0000-0000-0000-000000000001', '/a', '/a', 'x', 'W', '2026-01-01Z',
         NULL, NULL, NULL),
        ('00000000-0000-0000-0000-000000000002', '/b', '/b', 'x', 'W', '2026-01-02Z',
         now(), '2026-01-03Z', NULL),
        ('00000000-0000-0000-0000-000000000003', '/c', '/c', 'x', 'W', '2026-01-02Z',
         now(), now(), now());
    INSERT INTO track.inbox (dedupe_key, path, kind, payload, applied, event, announced_at) VALUES
        ('1', '/', 'k', '{}', 'applied', '{"event": "sent"}', now()),
        ('2', '/', 'k', '{}', 'applied', '{"event": "unsent"}', NULL),
        ('3', '/', 'k', '{}', 'recorded', NULL, NULL);
"""


def test_events_not_sent_yet_move_into_the_outbox_with_their_ids(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.ensure_database("unsent")
    url = postgres.url("unsent")
    command.upgrade(config(url), "0011")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(UNSENT))
    upgrade(url)
    with engine.begin() as connection:
        rows = connection.execute(
            text("SELECT event, created_at::date::text AS day FROM track.outbox ORDER BY id")
        ).all()
        assert connection.execute(text("SELECT count(*) FROM track.inbox")).scalar() == 3
    engine.dispose()
    callback, ready, wake = rows
    assert callback.event == {"event": "unsent"}
    one, two = UUID(int=1), UUID(int=2)
    payload = {"session": str(one), "path": "/a", "workstation": "W"}
    event_id = uuid5(NAMESPACE, f"{one}/{SESSION_READY}")
    assert ready.event == session_event(SESSION_READY, one, payload=payload, id=event_id)
    payload, event_id = {"session": str(two)}, UUID(wake.event["id"])
    assert wake.event == session_event(SESSION_WAKE, two, payload=payload, id=event_id)
    assert (ready.day, wake.day) == ("2026-01-01", "2026-01-03")


REFUSED = """
    UPDATE track.asset SET file_name = 'æ: 1', quarantine = 'æ: 1.tif: it is "cut"; copy it again';
    UPDATE track.session SET known = '["h.tif: it was \\"known\\"; take it away", "nothing"]';
    GRANT SELECT ON track.dassco TO PUBLIC;
"""


def test_the_sentences_of_quarantine_become_data(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database("with_sentences")
    url = postgres.url("with_sentences")
    command.upgrade(config(url), "0011")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(LANDED + REFUSED)
    upgrade(url)
    shown = "available_for_services, has_table_privilege('public', 'track.dassco', 'SELECT')"
    with engine.begin() as connection:
        refused = connection.execute(text("SELECT quarantine FROM track.asset")).scalar_one()
        known = connection.execute(text("SELECT known FROM track.session")).scalar_one()
        view = connection.execute(text(f"SELECT {shown} FROM track.dassco")).one()
    engine.dispose()
    assert refused == {"file": "æ: 1.tif", "problem": 'it is "cut"', "remedy": "copy it again"}
    assert known == [
        {"file": "h.tif", "problem": 'it was "known"', "remedy": "take it away"},
        {"file": "", "problem": "nothing", "remedy": ""},
    ]
    assert tuple(view) == ("ERROR", True)


URGENT = """
    UPDATE track.asset SET priority = 7;
    INSERT INTO track.session (path, opened_as, listing_hash, workstation)
        VALUES ('/b', '/b', 'x', 'W');
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name)
        SELECT 'h' || n, s.id, p.id, 'h' FROM track.pipeline p, generate_series(1, 2000) n,
               track.session s WHERE s.path = '/b';
    INSERT INTO track.job (asset_guid, stage_id, state)
        SELECT a.guid, s.id, 'ready' FROM track.stage s, track.asset a WHERE a.guid <> 'g';
"""


def test_jobs_get_the_session_and_the_priority_of_their_assets(postgres: EmbeddedPostgres) -> None:
    postgres.ensure_database("with_jobs")
    url = postgres.url("with_jobs")
    command.upgrade(config(url), "0013")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(LANDED + URGENT)
    upgrade(url)
    counted = """
        SELECT s.path, j.priority, j.state, j.held, j.bound_to, count(*)
        FROM track.job j JOIN track.session s ON s.id = j.session_id GROUP BY 1, 2, 3, 4, 5
    """
    with engine.begin() as connection:
        found = {tuple(row) for row in connection.execute(text(counted))}
    engine.dispose()
    assert found == {("/a", 7, "done", False, "", 1), ("/b", 0, "ready", False, "", 2000)}
