"""The private parts of aiohttp that the server uses, in the oldest and the newest version that is allowed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CHECKS: Final = Path(__file__).parent / "aiohttp_contract.py"
PRIVATE: Final = re.compile(r"noqa: SLF001")


def allowed() -> str:
    """The versions that ``pyproject.toml`` allows, as it writes them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = (each for each in project["dependencies"] if each.startswith("aiohttp>="))
    return str(line)


def oldest() -> str:
    """The oldest of them, as a requirement."""
    found = re.match(r"aiohttp>=([\d.]+)", allowed())
    assert found
    return f"aiohttp=={found[1]}.*"


@pytest.mark.parametrize("requirement", ["installed", oldest(), allowed()])
def test_the_private_parts_do_what_the_server_expects(requirement: str, tmp_path: Path) -> None:
    """The installed version, the newest patch of the oldest one, and the newest; another one is installed apart."""
    folder = tmp_path / "packages"
    if requirement != "installed":
        _install(requirement, folder)
    done = subprocess.run(
        [sys.executable, str(CHECKS), str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stdout + done.stderr
    used = re.search(r"^aiohttp ([\d.]+) keeps the contract$", done.stdout, re.MULTILINE)
    assert used
    if requirement == "installed":
        assert used[1] == metadata.version("aiohttp")
    elif requirement == oldest():
        assert used[1].startswith(requirement.removeprefix("aiohttp==").removesuffix("*"))


def _install(requirement: str, folder: Path) -> None:
    """Put aiohttp and what it needs into a folder of its own."""
    uv = shutil.which("uv")
    command = [uv, "pip"] if uv else [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    python = ["--python", sys.executable] if uv else []
    subprocess.run([*command, "install", "-q", *python, "--target", str(folder), requirement], check=True, timeout=300)


def test_private_parts_are_used_in_one_file_only() -> None:
    """Everywhere else what aiohttp keeps to itself is left alone; aiomqtt's is where it would complain otherwise."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "vtn").rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    }

    assert users == {"vtn/http/aiohttp_internals.py", "vtn/notify/broker_access/dynamic_security.py"}
