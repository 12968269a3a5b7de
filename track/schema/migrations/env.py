"""How alembic reaches the database: the connection or URL that the caller gives."""

from alembic import context
from sqlalchemy import Connection, create_engine

from track.schema.tables import SCHEMAS, catalogue


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Only our schemas: a shared database may hold others."""
    return kind != "schema" or name in SCHEMAS


def run(connection: Connection) -> None:
    """Run the wanted migrations on an open connection, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=catalogue,
        include_schemas=True,
        include_name=ours,
        compare_type=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(context.config.attributes["url"])
    with engine.begin() as connection:
        run(connection)
    engine.dispose()
