"""A terminal for a program under test."""

import pty


def open_terminal() -> tuple[int, int]:
    """Open a pseudo-terminal: the descriptor that the test reads and the one that the program writes to.

    Raises:
        RuntimeError: this system has none, as in a container without `devpts`.
    """
    try:
        return pty.openpty()
    except OSError as error:
        raise RuntimeError(
            f"no pseudo-terminal ({error}): this test needs /dev/pts, try  mount -t devpts devpts /dev/pts"
        ) from error
