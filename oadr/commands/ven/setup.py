"""``oadr ven setup``: make the settings of a VEN in a browser on its machine, try them, and run it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oadr.commands.ven.new_settings import checked_house, sample_house, settings_text, write_settings
from oadr.errors import Exit, Failure, reporting
from oadr.process.running import run_interruptibly
from openadr_profiles.join_line import BadJoinLine, JoinLine

if TYPE_CHECKING:
    from ven.settings import VenSettings

_PORT: Final = 8480


def setup(
    *,
    config: Annotated[Path, typer.Option("--config", help="The file of settings to write.")] = Path("ven.toml"),
    port: Annotated[int, typer.Option(help="The port of the page, now and when the VEN runs.", min=1, max=65535)] = (
        _PORT
    ),
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run the VEN when it is set up.")] = True,
) -> None:
    """Set up a VEN in a browser on this machine: join line, driver and circuits, a trial of both; then run it.

    The page is served on 127.0.0.1 only. From another machine: ssh -L 8480:127.0.0.1:8480 DEVICE.
    """
    with reporting():
        from openadr_client import SystemClock
        from ven.page.setup import SetupPage

        file = config.absolute()
        if file.exists():
            to_do = (
                "run it with oadr ven run, give it a new line with oadr ven join, or name another file with --config"
            )
            raise Failure(f"{config} is there already: {to_do}", Exit.USAGE)
        work = _FileWork(file, port)

        async def serve() -> None:
            page = SetupPage(work, SystemClock())
            await page.serve(port, lambda: typer.echo(f"open http://127.0.0.1:{port}/ in a browser on this machine"))

        run_interruptibly(serve)
        settings = work.settings
        if settings is None:
            return
        if not run:
            typer.echo(f"next: oadr ven run --config {config}")
            return
        # A program anew, so that the VEN has nothing of the set-up in memory.
        os.execv(sys.executable, [sys.executable, "-m", "oadr", "ven", "run", "--config", str(file)])  # noqa: S606


class _FileWork:
    """Keep what is given in the file of settings. Errors of the commands are told as problems of the set-up."""

    def __init__(self, config: Path, port: int) -> None:
        self._config = config
        self.port = port
        self._told: JoinLine | None = None
        self._settings: VenSettings | None = None
        self.house = f"{sample_house(config)}\n[local]\nport = {port}\n".lstrip()

    @property
    def config(self) -> Path:
        """Return the file of settings."""
        return self._config

    @property
    def settings(self) -> VenSettings | None:
        """Return the settings as they are in the file; None before there is a join line."""
        return self._settings

    def keep_line(self, line: str) -> None:
        """Write settings for a join line; raises SetupProblem."""
        from ven.page.setup import SetupProblem

        try:
            told = JoinLine.decode(line)
        except BadJoinLine as error:
            raise SetupProblem(str(error)) from None
        self._settings = self._written(told, self.house)
        self._told = told

    def keep_house(self, text: str) -> None:
        """Write other settings of driver and circuits; raises SetupProblem."""
        from ven.page.setup import SetupProblem

        try:
            house = checked_house(text.encode(), "the settings of the house")
        except Failure as error:
            raise SetupProblem(str(error)) from None
        if self._told is not None:
            self._settings = self._written(self._told, house)
        self.house = house

    def _written(self, told: JoinLine, house: str) -> VenSettings:
        from oadr.config import ConfigError
        from ven.page.setup import SetupProblem

        text = settings_text(told, self._config, house)
        try:
            return write_settings(told, self._config, text, force=True, changed=None, keep=False).settings
        except (Failure, ConfigError) as error:
            raise SetupProblem(str(error)) from None
