"""Server processes that a test or a measurement owns: started, proved ready, stopped, killed, started again."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_POLL_S = 0.01
_START_TIMEOUT_S = 120.0  # a busy machine is not a failure
_STOP_TIMEOUT_S = 60.0


class ServerProcess:
    """Run one program in the foreground, its output in a log file.

    The kernel ends it when its owner dies, so that a killed run leaves nothing behind.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, ready: Callable[[], bool], as_user: pwd.struct_passwd | None = None
    ) -> None:
        self._command = command
        self._log = log
        self._ready = ready
        self._as_user = as_user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, or nothing while the server is down."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Return True if the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and return once it is ready; does nothing when it runs already."""
        if self.running:
            return
        setpriv = shutil.which("setpriv", path=_search_path())
        if setpriv is None:
            raise RuntimeError("setpriv is missing (Debian package util-linux)")
        account = self._as_user
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [setpriv, "--pdeathsig", "TERM", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._log.parent,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._ready_or_dead():
            if time.monotonic() >= deadline:
                raise RuntimeError(f"{self._command[0]} is not ready within {_START_TIMEOUT_S:g} s")
            time.sleep(_POLL_S)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with the signal and wait for the end; does nothing when it is down."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(how)
        self._process.wait(_STOP_TIMEOUT_S)
        self._process = None

    def log_text(self) -> str:
        """Return everything the server has printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _ready_or_dead(self) -> bool:
        if not self.running:
            raise RuntimeError(f"{' '.join(self._command)} did not start:\n{self.log_text()[-4000:]}")
        return self._ready()


def find_program(name: str, *, debian_package: str) -> str:
    """Return the path of an installed program; `sbin` folders count although they are not on every PATH.

    Raises:
        RuntimeError: it is not installed; the message is the command that installs it.
    """
    found = shutil.which(name, path=_search_path())
    if found is None:
        raise RuntimeError(f"{name} is not installed and the tests need it: apt-get install {debian_package}")
    return found


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"])
