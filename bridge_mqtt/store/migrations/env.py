"""Run by Alembic with the connection that the bridge has opened and locked."""

from alembic import context

from bridge_mqtt.store.engine import VERSION_TABLE
from bridge_mqtt.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
