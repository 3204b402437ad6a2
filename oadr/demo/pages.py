"""Open the pages of a run to its watcher: the console of the VTN, and the page of one home."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from vtn.access import UserRole
from vtn.app import VtnServer

USER = "operator"


@dataclass(frozen=True)
class DemoPages:
    """Addresses of the pages while the demo runs, and how to sign in."""

    console_url: str
    password: str = field(repr=False)
    home: str
    home_port: int

    def lines(self) -> tuple[str, ...]:
        """Return what the watcher is told."""
        return (
            f"Open {self.console_url}  and sign in as {USER}, password {self.password}",
            f"Open http://127.0.0.1:{self.home_port}/  for the page of {self.home}, as its owner sees it",
        )


async def pages(vtn: VtnServer, *, home: str, home_port: int) -> DemoPages:
    """Make a user of the console with a password for this run, and return where the pages are."""
    password = secrets.token_urlsafe(9)
    await vtn.console_users().add(USER, UserRole.ADMIN, password)
    return DemoPages(f"{vtn.origin}/console", password, home, home_port)
