"""Python loads this at the start of every command that a test starts as a process of its own (PYTHONPATH).

It writes down what our client sends there, a line of JSON for each request, for tests/conftest.py to judge. Headers and
forms are left out: they hold secrets. Nothing is imported before the client is.
"""

import os
import sys
from typing import Any

_CLIENT = "openadr_client.transport"
_FILE = os.environ.get("TEST_SENT_REQUESTS")


class _Finder:
    """Finds the client's module once, and lets it record when it has been loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _CLIENT:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            loaded = spec.loader.exec_module

            def load(module: Any) -> None:
                loaded(module)
                _record(module.BaseTransport)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _record(transport: Any) -> None:
    import json

    send = transport.request

    async def request(self: Any, method: str, url: str, *, query: Any = (), **content: Any) -> Any:
        query = tuple(query)
        body = content.get("body")
        sent = {"method": method, "url": url, "query": query, "body": None if body is None else body.decode()}
        file = os.open(str(_FILE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps(sent).encode() + b"\n")
        finally:
            os.close(file)
        return await send(self, method, url, query=query, **content)

    transport.request = request


if _FILE:
    sys.meta_path.insert(0, _Finder())
