"""A version of the standard as the application serves it: its prefixes, its routes and its form of errors.

A further version is a package beside ``vtn/api/v31`` with a function that makes one of these, an entry in the list in
``vtn/wiring.py``, and its prefixes in the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vtn.api.collection import OpenRoute, Route
from vtn.http.problem import WriteProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiVersion:
    """``name`` is the protocol that contacts and logs state, such as "OpenADR 3.1".

    ``routes`` and ``open_routes`` are below each of the ``prefixes``; ``origin_routes`` are below none.
    ``write_problem`` writes a refusal to a request below the prefixes. ``describe`` gives the OpenAPI document.
    """

    name: str
    prefixes: tuple[str, ...]
    routes: tuple[Route, ...]
    open_routes: tuple[OpenRoute, ...]
    origin_routes: tuple[Route, ...]
    write_problem: WriteProblem
    describe: Callable[[], dict[str, Any]]
