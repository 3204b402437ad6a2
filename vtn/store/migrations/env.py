"""Alembic's environment: runs the migrations over the connection that ``vtn/store/migrate.py`` has locked."""

from alembic import context

from vtn.store.indexes import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
