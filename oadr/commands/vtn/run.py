"""``oadr vtn run``: serve in this process, or in several that a supervisor starts."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from oadr.commands.vtn.options import PREFIX, ConfigOption, DatabaseOption, load_settings
from oadr.errors import reporting
from oadr.process import lean, loop
from oadr.terminal.options import examples

if TYPE_CHECKING:
    from vtn.settings import Settings

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples("vtn run --port 8080", "vtn run --host 0.0.0.0 --tls-cert vtn.pem --tls-key vtn.key --workers 2")
)
def run(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help=f"Address to listen on [{PREFIX}HOST; 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help=f"Port; 0 takes a free one [{PREFIX}PORT; 8080].")] = None,
    database_url: DatabaseOption = None,
    public_url: Annotated[
        str | None, typer.Option(help=f"Origin that clients use, as https://vtn.example [{PREFIX}PUBLIC_URL].")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help=f"Certificate chain, PEM [{PREFIX}TLS__CERT].")] = None,
    tls_key: Annotated[Path | None, typer.Option(help=f"Its private key, PEM [{PREFIX}TLS__KEY].")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option("--behind-proxy", help=f"A proxy terminates TLS [{PREFIX}BEHIND_PROXY].")
    ] = None,
    insecure_http: Annotated[
        bool | None,
        typer.Option("--insecure-http", help=f"Plain HTTP for others too; tests only [{PREFIX}INSECURE_HTTP]."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help=f"Processes that serve together [{PREFIX}WORKERS; 1].")] = None,
) -> None:
    """Serve until interrupted."""
    with reporting():
        flags = {
            "host": host,
            "port": port,
            "database.url": database_url,
            "public_url": public_url,
            "tls.cert": tls_cert,
            "tls.key": tls_key,
            "behind_proxy": behind_proxy,
            "insecure_http": insecure_http,
            "workers": workers,
        }
        _serve(load_settings(config, flags))


def _serve(settings: Settings) -> None:
    lean.import_aiohttp()
    from vtn.app import build
    from vtn.processes.supervisor import Supervisor

    async def serve() -> None:
        server = Supervisor(settings, command=_worker()) if settings.workers > 1 else build(settings)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.renew_certificate)
        await server.run()

    loop.run_until_asked(serve())


def _worker() -> list[str]:
    level = logging.getLevelName(structlog.get_logger().get_effective_level())
    return [sys.executable, "-m", "oadr.vtn_worker", level.lower()]
