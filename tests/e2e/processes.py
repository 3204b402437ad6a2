"""The commands of the project as processes of their own, as an operator would start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.support.net import accepts_connections
from bench.support.processes import ServerProcess

OADR = str(Path(sys.executable).with_name("oadr"))


def oadr(*arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a command that ends; what it printed as JSON. Fails with its standard error if it fails."""
    done = run_oadr(*arguments, environment=environment)
    assert done.returncode == 0, f"oadr {' '.join(arguments)} exited with {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def run_oadr(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends, whatever becomes of it."""
    return subprocess.run(
        [OADR, *arguments],
        env=_clean() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OADR_")}


def program(
    name: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], port: int | None = None
) -> ServerProcess:
    """A command that runs until it is stopped; ready when it listens, or when it is there if it does not.

    It logs everything, for `tests/support/canaries.py` to look through.
    """
    folder.mkdir(exist_ok=True)
    settings = [f"{key}={value}" for key, value in environment.items()]
    return ServerProcess(
        ["env", *settings, OADR, "--log-level", "debug", *arguments],
        log=folder / f"{name}.log",
        ready=lambda: port is None or accepts_connections("127.0.0.1", port),
    )


def get_json(url: str) -> Any:
    """The JSON that an address of ours answers with."""
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)
