"""A real Mosquitto broker that a test owns."""

import getpass
from pathlib import Path
from signal import SIGKILL

from bench.support.net import accepts_connections, free_port
from bench.support.processes import ServerProcess, find_program
from tests.support.pki import Pki, TlsFiles


class Mosquitto:
    """Mosquitto on a port of 127.0.0.1 that stays the same over `stop()` and `start()`, as do its sessions.

    Anybody may connect; with `pki` everybody who shows a certificate of its authority, and the common name of the
    certificate is the user name.
    """

    def __init__(self, directory: Path, *, pki: Pki | None = None) -> None:
        """Write the configuration into `directory` (must exist); `start()` runs the broker."""
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
            ready=lambda: accepts_connections(self.host, self.port),
        )

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
        """Start the broker and return once it accepts connections."""
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

    def log_text(self) -> str:
        """Return the log of the broker so far: connections, disconnections, refusals."""
        return self._process.log_text()

    def _common(self, directory: Path) -> list[str]:
        return [
            f"listener {self.port} {self.host}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {directory}/",
            "set_tcp_nodelay true",
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
