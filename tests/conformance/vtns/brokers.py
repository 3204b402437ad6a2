"""Brokers for a VTN: Mosquitto with TLS, open to everybody, or with accounts that the VTN makes."""

from __future__ import annotations

import getpass
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.support.net import accepts_connections, free_port
from bench.support.processes import ServerProcess, find_program
from tests.support.pki import Pki

_ADMIN: Final = "conformance-admin"
_DOOR: Final = "open-door"
_ANONYMOUS: Final = """
[mqtt.access]
method = "ANONYMOUS"
"""
_ACCOUNTS: Final = """
user = "conformance-vtn"
password = "{publisher}"

[mqtt.access]
method = "ACCOUNT"
dynamic_security = true
admin_user = "{admin}"
admin_password = "{password}"
"""


@contextmanager
def open_broker(directory: Path, pki: Pki) -> Iterator[tuple[str, str]]:
    """Yield the URI of a running broker that admits everybody, and the rest of a VTN's settings for it."""
    port = free_port()
    with _mosquitto(directory, port, [*_listener(pki, port), "allow_anonymous true"]):
        yield f"mqtts://127.0.0.1:{port}", _ANONYMOUS


@contextmanager
def guarded_broker(directory: Path, pki: Pki) -> Iterator[tuple[str, str]]:
    """Yield the same for a broker where the VTN makes an account for each client; it has an open door beside."""
    port, door, password = free_port(), free_port(), secrets.token_urlsafe(12)
    accounts = directory / "dynamic-security.json"
    control = find_program("mosquitto_ctrl", debian_package="mosquitto")
    subprocess.run([control, "dynsec", "init", str(accounts), _ADMIN, password], check=True, capture_output=True)
    plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))  # of the package that has the broker
    lines = [
        "per_listener_settings true",
        *_listener(pki, port),
        "allow_anonymous false",
        f"plugin {plugin}",
        f"plugin_opt_config_file {accounts}",
        *_listener(pki, door),
        "allow_anonymous true",
    ]
    (directory / _DOOR).write_text(f"mqtts://127.0.0.1:{door}", encoding="utf-8")
    with _mosquitto(directory, port, lines):
        yield (
            f"mqtts://127.0.0.1:{port}",
            _ACCOUNTS.format(publisher=secrets.token_urlsafe(12), admin=_ADMIN, password=password),
        )


def open_door(directory: Path) -> str:
    """Return the URI at which the guarded broker of this folder admits everybody; empty if it has none."""
    door = directory / _DOOR
    return door.read_text(encoding="utf-8") if door.exists() else ""


def _listener(pki: Pki, port: int) -> list[str]:
    files = pki.server()
    return [f"listener {port} 127.0.0.1", f"certfile {files.certificate}", f"keyfile {files.key}"]


@contextmanager
def _mosquitto(directory: Path, port: int, lines: list[str]) -> Iterator[None]:
    common = [
        "set_tcp_nodelay true",
        f"user {getpass.getuser()}",  # started by root it would drop to an account that cannot read these files
        "log_dest stderr",
    ]
    configuration = directory / "mosquitto.conf"
    configuration.write_text("\n".join([*lines, *common]) + "\n", encoding="utf-8")
    process = ServerProcess(
        [find_program("mosquitto", debian_package="mosquitto"), "-c", str(configuration)],
        log=directory / "mosquitto.log",
        ready=lambda: accepts_connections("127.0.0.1", port),
    )
    try:
        process.start()
        yield
    finally:
        process.stop()
