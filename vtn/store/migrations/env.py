"""What Alembic runs: the migrations, over the connection that ``vtn/store/migrate.py`` holds the lock on."""

from alembic import context

from vtn.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
