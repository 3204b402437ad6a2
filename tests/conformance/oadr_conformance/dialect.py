"""The shape of one version of OpenADR 3 on the wire, so that a question is asked of every version in the same words.

Checks speak OpenADR 3.1. A dialect writes what they ask as its version has it, and reads what comes back; checks that
are about the wire of one version go around it (`Actor.send` with `as_it_is`, `VtnAnswer.on_the_wire`).
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

Pairs: TypeAlias = list[tuple[str, Any]]


class WireShape:
    """OpenADR 3.1, in which checks are written."""

    version: ClassVar[str] = "3.1"
    usual_prefix: ClassVar[str] = "/openadr3/3.1.0"
    names_token_server: ClassVar[bool] = True
    """There is /auth/server."""
    names_notifiers: ClassVar[bool] = True
    """There is /notifiers."""
    names_owners: ClassVar[bool] = True
    """Objects say whose they are."""

    def __init__(self) -> None:
        self.program = ""
        """The program of subscriptions that name none, while a run is open, where each has to name one."""

    def asked(self, method: str, path: str, query: Pairs, body: object) -> tuple[str, Pairs, object]:
        """Return path, query and body of the same request in this version."""
        del method
        return path, query, body

    def told(self, method: str, path: str, value: Any) -> Any:
        """Return the body of an answer to it, as 3.1 would have it."""
        del method, path
        return value

    def owns(self, ven_id: str, client_id: str) -> None:
        """Remember whose a ven is, for a version that does not say it."""
