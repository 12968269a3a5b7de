"""The migrations and the tables in the code are the same database."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from refinery.postgres import EmbeddedPostgres
from track.migrations import upgrade
from track.tables import SCHEMAS, catalogue


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
