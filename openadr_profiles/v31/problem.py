"""The error body of every refused request (PROBLEM-001 … PROBLEM-003)."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` equals the HTTP status; ``instance`` is an absolute URI that the log line carries too.

    Reading is tolerant: every member has a default, so that a foreign server's body can be shown.
    """

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str | None = None
