"""``oadr bridge migrate``: what happens to the database."""

from __future__ import annotations

import asyncio

import typer

from oadr.commands.bridge.options import ConfigOption, DatabaseOption, load_settings
from oadr.errors import reporting
from oadr.terminal.output import JsonOption, show_json


def migrate(*, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Bring the tables of the database up to date; take over the acknowledgments of the original system.

    `run` does the same when it starts. It happens in one transaction: if it fails, the database is as before.
    """
    with reporting():
        from sqlalchemy.engine import make_url

        from bridge_mqtt.store import Store

        settings = load_settings(config, {"database.url": database_url})
        url = settings.database.url.get_secret_value()
        done = asyncio.run(Store.migrate(url))
        name = make_url(url).render_as_string(hide_password=True).replace("+aiosqlite", "").replace("+asyncpg", "")
        if as_json:
            show_json(
                {
                    "database": name,
                    "schemaBefore": done.before,
                    "schema": done.now,
                    "acksTakenOver": done.acks_taken_over,
                    "originalTable": done.original_table,
                }
            )
            return
        if done.original_table is not None:
            typer.echo(f"{done.acks_taken_over} acknowledgments of the original system are taken over")
            typer.echo(f"Its table is kept as {done.original_table}; drop it when you need no way back.", err=True)
        typer.echo(f"{name} is up to date")
