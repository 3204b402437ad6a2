"""Python loads this at the start of every command that a test starts as a process of its own (PYTHONPATH).

It writes down what our client sends there, a line of JSON for each request, for tests/conftest.py to judge. Headers and
forms are left out: they hold secrets. Nothing is imported before the client is. What the command writes to standard
output and error, and the secrets that it uses, go to another file, for `tests/support/canaries.py` to look through.
"""

import os
import sys
from typing import Any

import witness  # type: ignore[import-not-found] # this folder is in PYTHONPATH

_FILE = os.environ.get("TEST_SENT_REQUESTS")
_WRITTEN = os.environ.get("TEST_WRITTEN")


def _append(file: str, line: bytes) -> None:
    opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, line)
    finally:
        os.close(opened)


def _record(module: Any) -> None:
    import json

    transport = module.BaseTransport
    send = transport.request

    async def request(self: Any, method: str, url: str, *, query: Any = (), **content: Any) -> Any:
        query = tuple(query)
        body = content.get("body")
        sent = {"method": method, "url": url, "query": query, "body": None if body is None else body.decode()}
        _append(str(_FILE), json.dumps(sent).encode() + b"\n")
        return await send(self, method, url, query=query, **content)

    transport.request = request


def _tell(kind: str, text: str) -> None:
    _append(str(_WRITTEN), f"{(os.getpid(), sys.argv, kind, text)!a}\n".encode())


if _FILE:
    witness.when_loaded("openadr_client.transport", _record)
if _WRITTEN:
    witness.watch_output(_tell)
    witness.watch_secrets(lambda secret: _tell("secret", secret))
