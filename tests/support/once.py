"""Cache of slow setup, which is done once for all workers of a test run."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


class Once:
    """Makes things that take long once for all workers of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return a folder that `make` has filled: the first caller with this name makes it, the others wait."""
        folder, done = self._folder / name, self._folder / f"{name}.done"
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                make(folder)
                done.touch()
        return folder
