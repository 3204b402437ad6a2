"""A real Mosquitto broker that a test owns."""

import base64
import getpass
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL

from bench.support.net import accepts_connections, free_port
from bench.support.processes import ServerProcess, find_program
from tests.support.pki import Pki, TlsFiles


class Mosquitto:
    """Mosquitto on a port of 127.0.0.1 that stays the same over `stop()` and `start()`, as do its sessions.

    Anybody may connect; with `pki` everybody who shows a certificate of its authority, and the common name of the
    certificate is the user name. With `accounts` (passwords by user name) nobody else may connect. With
    `dynamic_security` that plugin decides, with its defaults, and only `ADMIN` has an account. `access_list` is the
    content of an `acl_file`.
    """

    ADMIN = ("admin", "the-admin-of-a-test")

    def __init__(
        self,
        directory: Path,
        *,
        pki: Pki | None = None,
        accounts: Mapping[str, str] | None = None,
        dynamic_security: bool = False,
        access_list: str | None = None,
    ) -> None:
        """Write the configuration into `directory` (must exist); `start()` runs the broker."""
        self._passwords = directory / "passwords" if accounts else None
        if self._passwords is not None:
            self._passwords.write_text("".join(_account(*each) for each in (accounts or {}).items()))
            self._passwords.chmod(0o600)
        self._access_list = directory / "acl" if access_list is not None else None
        if self._access_list is not None:
            self._access_list.write_text(access_list or "")
            self._access_list.chmod(0o600)
        self._dynamic_security = directory / "dynamic-security.json" if dynamic_security else None
        self.host = "127.0.0.1"
        self.port = free_port()
        self.pki = pki
        self._tls = pki.server() if pki else None
        program = find_program("mosquitto", debian_package="mosquitto")
        configuration = directory / "mosquitto.conf"
        configuration.write_text("\n".join([*self._common(directory), *self._tls_lines()]) + "\n")
        self._process = ServerProcess(
            [program, "-c", str(configuration)],
            log=directory / "mosquitto.log",
            ready=self._serves,
        )
        self._connections = 0

    @property
    def url(self) -> str:
        """`mqtt://` or `mqtts://`, host and port."""
        return f"{'mqtts' if self._tls else 'mqtt'}://{self.host}:{self.port}"

    def client_files(self, client_id: str) -> TlsFiles:
        """A new certificate for a client of a broker with TLS."""
        if self.pki is None:
            raise ValueError("this broker has no TLS; use the fixture mosquitto_tls")
        return self.pki.client(client_id)

    @property
    def running(self) -> bool:
        """Return True if the broker process is alive."""
        return self._process.running

    def start(self) -> None:
        """Start the broker and return once it serves connections."""
        self._connections = self._seen()
        self._process.start()

    def stop(self) -> None:
        """Stop it; sessions, queued and retained messages are kept for the next start."""
        self._process.stop()

    def kill(self) -> None:
        """End it at once; what it kept in memory is lost."""
        self._process.stop(SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def forget_accounts(self) -> None:
        """Forget all accounts but that of `ADMIN`, as a broker that is set up anew; call it while it is stopped."""
        if self._dynamic_security is not None:
            self._dynamic_security.write_text(json.dumps(_only_an_administrator(*self.ADMIN)))

    def log_text(self) -> str:
        """Return the log of the broker so far: connections, disconnections, refusals."""
        return self._process.log_text()

    def _serves(self) -> bool:
        """Return True once it has seen a connection.

        The system accepts them before: a broker that is about to begin forgets a signal to stop that comes then.
        """
        return accepts_connections(self.host, self.port) and self._seen() > self._connections

    def _seen(self) -> int:
        return self.log_text().count("New connection from")

    def _common(self, directory: Path) -> list[str]:
        return [
            f"listener {self.port} {self.host}",
            *self._access_lines(),
            "persistence true",
            f"persistence_location {directory}/",
            "set_tcp_nodelay true",
            "max_queued_messages 0",  # without limit: a slow subscriber misses nothing
            f"user {getpass.getuser()}",  # started by root it would drop to an account that cannot write here
            "log_dest stderr",  # not buffered, so that a test sees a line when it is written
            "log_type all",
            "connection_messages true",
        ]

    def _tls_lines(self) -> list[str]:
        if self._tls is None:
            return []
        return [
            f"cafile {self._tls.ca}",
            f"certfile {self._tls.certificate}",
            f"keyfile {self._tls.key}",
            "require_certificate true",
            "use_identity_as_username true",
        ]

    def _access_lines(self) -> list[str]:
        if self._passwords is not None:
            listed = [] if self._access_list is None else [f"acl_file {self._access_list}"]
            return ["allow_anonymous false", f"password_file {self._passwords}", *listed]
        if self._dynamic_security is None:
            return ["allow_anonymous true"]
        self.forget_accounts()
        self._dynamic_security.chmod(0o600)
        plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))  # of the package that has the broker
        return ["allow_anonymous false", f"plugin {plugin}", f"plugin_opt_config_file {self._dynamic_security}"]


def _account(username: str, password: str) -> str:
    """Return a line as `mosquitto_passwd` writes it."""
    salt, hashed = _hashed(password)
    return f"{username}:$7$101${salt}${hashed}\n"


def _hashed(password: str) -> tuple[str, str]:
    """Return a new salt and the hash of a password, both in base64."""
    salt = os.urandom(12)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return base64.b64encode(salt).decode(), base64.b64encode(hashed).decode()


def _only_an_administrator(username: str, password: str) -> dict[str, object]:
    """Return the plugin's file as `mosquitto_ctrl dynsec init` makes it."""
    salt, hashed = _hashed(password)
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    rules = [{"acltype": kind, "topic": "$CONTROL/dynamic-security/#", "allow": True} for kind in kinds]
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {
                "username": username,
                "salt": salt,
                "password": hashed,
                "iterations": 101,
                "roles": [{"rolename": "admin"}],
            }
        ],
        "groups": [],
        "roles": [{"rolename": "admin", "acls": rules}],
    }
