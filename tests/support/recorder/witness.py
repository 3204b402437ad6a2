"""Tells of every secret that a process uses, and of every text that a command writes to its output.

`sitecustomize.py` uses it in the commands that tests start, `tests/support/canaries.py` in the test run itself. Only
modules that every process has loaded anyway are imported here: tests measure what a command imports.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

Note = Callable[[str], object]
"""Takes a secret."""
Watch = Callable[[Any, Note], None]
"""Watches a module that has been loaded."""


def when_loaded(name: str, watch: Callable[[Any], None]) -> None:
    """Call ``watch`` with the module of this name: now, or when it has been loaded."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        watch(loaded)
    else:
        sys.meta_path.insert(0, _Finder(name, watch))


def watch_secrets(note: Note) -> None:
    """Note every secret that passes the places where the product keeps, makes, checks or seals one."""
    for name, watch in PLACES.items():
        when_loaded(name, lambda module, watch=watch: watch(module, note))  # type: ignore[misc]


class _Finder:
    """Finds one module once, and calls when it has been loaded."""

    def __init__(self, name: str, watch: Callable[[Any], None]) -> None:
        self._name = name
        self._watch = watch

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            loaded = spec.loader.exec_module

            def load(module: Any) -> None:
                loaded(module)
                self._watch(module)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _settings(module: Any, note: Note) -> None:
    """Settings and arguments of every program: each of their secrets is one of these."""
    made = module.SecretStr.__init__

    def init(self: Any, secret_value: str) -> None:
        note(secret_value)
        made(self, secret_value)

    module.SecretStr.__init__ = init


def _client_secrets(module: Any, note: Note) -> None:
    """Clients' secrets, right and wrong ones, where the VTN makes and checks them."""
    make, hash_, matches = module.Secrets.make, module.Secrets.hash, module.Secrets.matches

    def made() -> str:
        secret: str = make()
        note(secret)
        return secret

    async def hashed(self: Any, secret: str) -> Any:
        note(secret)
        return await hash_(self, secret)

    async def compared(self: Any, client_id: str, secret: str, *arguments: Any, **named: Any) -> Any:
        note(secret)
        return await matches(self, client_id, secret, *arguments, **named)

    module.Secrets.make, module.Secrets.hash, module.Secrets.matches = staticmethod(made), hashed, compared


def _sealed(module: Any, note: Note) -> None:
    """Signing keys and callback tokens, where the VTN seals and opens them, and the lines of new key files."""
    seal, open_, new_line = module.Vault.seal, module.Vault.open, module._new_line

    def sealed(self: Any, text: str, *, place: str) -> Any:
        note(text)
        return seal(self, text, place=place)

    def opened(self: Any, text: str, *, place: str) -> Any:
        found = open_(self, text, place=place)
        note(found)
        return found

    def line() -> Any:
        made = new_line()
        note(made)
        return made

    module.Vault.seal, module.Vault.open, module._new_line = sealed, opened, line


def _tokens(module: Any, note: Note) -> None:
    """The secrets of our client, and the tokens that it gets."""
    made, fetch = module.ClientCredentials.__init__, module.ClientCredentials._fetch

    def init(self: Any, *arguments: Any, client_secret: str, **named: Any) -> None:
        note(client_secret)
        made(self, *arguments, client_secret=client_secret, **named)

    async def fetched(self: Any) -> Any:
        token = await fetch(self)
        note(token.text)
        return token

    module.ClientCredentials.__init__, module.ClientCredentials._fetch = init, fetched


PLACES: dict[str, Watch] = {
    "pydantic.types": _settings,
    "vtn.auth.secrets": _client_secrets,
    "vtn.store.vault": _sealed,
    "openadr_client.tokens": _tokens,
}


def watch_output(write: Callable[[str, str], object]) -> None:
    """Tell of every text that this process writes: ``stdout`` or ``stderr``, and the text."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            watched = _Watched(stream, name, write)
            setattr(sys, name, watched)
            setattr(sys, f"__{name}__", watched)


class _Watched(io.TextIOWrapper):
    """Standard output or error as Python has made it, which tells of what is written."""

    def __init__(self, stream: io.TextIOWrapper, name: str, tell: Callable[[str, str], object]) -> None:
        looks = {
            "encoding": stream.encoding,
            "errors": stream.errors,
            "line_buffering": stream.line_buffering,
            "write_through": stream.write_through,
        }
        super().__init__(stream.detach(), **looks)  # type: ignore[arg-type]
        self._name = name
        self._tell = tell

    def write(self, text: str) -> int:
        written = super().write(text)
        self._tell(self._name, text)
        return written
