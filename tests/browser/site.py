"""A VTN with its console, and a home that joins it: each a process, started by the commands of the documents."""

from __future__ import annotations

import asyncio
import secrets
import tomllib
from pathlib import Path
from typing import Any

from bench.support.net import free_port
from bench.support.processes import ServerProcess
from tests.e2e.processes import oadr, program, run_oadr
from tests.support.waiting import wait_until

USER = "anna"


class Site:
    """A folder with the database of a VTN and the settings of homes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "vtn.toml"
        self.origin = f"http://127.0.0.1:{(port := free_port())}"
        self.console = f"{self.origin}/console"
        self.password = secrets.token_urlsafe(12)
        self.homes: list[ServerProcess] = []
        self.config.write_text(
            f'port = {port}\n[database]\nurl = "sqlite:///{folder / "vtn.sqlite3"}"\n[contacts]\nstore_s = 0.5\n'
        )
        self.config.chmod(0o600)
        arguments = ["vtn", "run", "--config", str(self.config)]
        self.vtn = program("vtn", arguments, folder=folder, environment={}, port=port)

    async def start(self) -> None:
        """Make the first user, and start the VTN."""
        word = self.folder / "password"
        word.write_text(self.password)
        arguments = ("vtn", "user", "add", USER, "--role", "admin", "--password-file", str(word))
        made = await asyncio.to_thread(run_oadr, *arguments, "--config", str(self.config))
        assert made.returncode == 0, made.stderr
        await asyncio.to_thread(self.vtn.start)

    async def stop(self) -> None:
        """Stop everything."""
        for process in [*self.homes, self.vtn]:
            await asyncio.to_thread(process.stop)

    async def run(self, *arguments: str) -> Any:
        """Run a command to its end."""
        return await asyncio.to_thread(oadr, *arguments)

    async def join(self, name: str, line: str) -> str:
        """Start a home with a join line, as its owner would; return the address of its page."""
        file, config = self.folder / f"{name}.join", self.folder / f"{name}.toml"
        file.write_text(line)
        await asyncio.to_thread(_join, file, config)
        port = free_port()
        settings = tomllib.loads(config.read_text())
        assert settings["ven_name"] == name
        with config.open("a") as more:
            more.write(f"\n[local]\nport = {port}\n")
        text = config.read_text()
        config.write_text(f"poll_s = 5\nsample_s = 1\nstatus_s = 1\nbaseline_s = 5\n{text}")
        arguments = ["ven", "run", "--config", str(config)]
        home = program(name, arguments, folder=self.folder, environment={}, port=port)
        self.homes.append(home)
        await asyncio.to_thread(home.start)
        return f"http://127.0.0.1:{port}/"


def _join(file: Path, config: Path) -> None:
    done = run_oadr("ven", "join", file.read_text(), "--config", str(config))
    assert done.returncode == 0, done.stderr


__all__ = ["USER", "Site", "wait_until"]
