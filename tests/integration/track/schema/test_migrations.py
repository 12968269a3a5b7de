"""The migrations and the tables in the code are the same database."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from refinery.local.postgres import EmbeddedPostgres
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
