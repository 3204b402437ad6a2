"""``oadr vtn dispatch``: deliver notifications in a process of its own."""

from __future__ import annotations

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.errors import reporting
from oadr.process import lean, loop
from oadr.terminal.options import examples

app = typer.Typer(add_completion=False)


@app.command(epilog=examples("vtn dispatch", "vtn dispatch --config vtn.toml"))
def dispatch(*, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Deliver notifications until interrupted, without serving the API.

    Several may run, on one host or on many, beside servers, or in their place where notify.dispatch is off.
    """
    with reporting():
        settings = load_settings(config, {"database.url": database_url})
        lean.import_aiohttp()
        from vtn.app import system_now
        from vtn.dispatching import DeliveryProcess

        async def deliver() -> None:
            await DeliveryProcess(settings, now=system_now).run()

        loop.run_until_asked(deliver())
