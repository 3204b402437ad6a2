"""The entrance: around every request its id, its errors, its log line and its numbers."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog
from aiohttp import hdrs, web

from vtn.errors import Overloaded, Unavailable
from vtn.http import problem
from vtn.http.aiohttp_internals import route_of
from vtn.http.cors import CrossOrigin
from vtn.http.request_log import RequestLog
from vtn.metrics import Metrics

_log = structlog.get_logger(__name__)

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_UNTIDY: Final = re.compile(r"/{2,}|(?<=.)/$")
REQUEST_ID: Final = "X-Request-Id"
_TWELVE_DIGITS: Final = (1 << 48) - 1

CLIENT: Final = web.RequestKey("client_id", str)
"""Key of the client id, set once the caller is known."""

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Entrance:
    """Entry point of every request. ``often`` maps paths to handlers of GET, which bypass the router.

    ``headers`` are those of every answer. ``problem_writers`` maps the prefixes of paths to what writes a refusal
    there; elsewhere it is written as OpenADR 3 has it. ``tidies`` tells whether untidy paths mean the tidy ones.
    """

    def __init__(
        self,
        handle: Handle,
        often: Mapping[str, Handle],
        *,
        problem_writers: Mapping[str, problem.WriteProblem],
        headers: Mapping[str, str],
        invalid_token_status: int,
        metrics: Metrics | None,
        log: RequestLog | None,
        cors: CrossOrigin | None = None,
        tidies: bool = True,
    ) -> None:
        self._handle = handle
        self._often = often
        self._problem_writers = tuple(problem_writers.items())
        self._fixed = tuple(headers.items())
        self._invalid_token_status = invalid_token_status
        self._metrics = metrics
        self._log = log
        self._cors = cors
        self._tidies = tidies
        self._ids = _Ids()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever error occurs."""
        started = time.perf_counter()
        metrics, log = self._metrics, self._log
        given = request.headers.get(REQUEST_ID)
        request_id = given if given is not None and _GIVEN_ID.fullmatch(given) else self._ids.next()
        refused: tuple[str, str] | None = None
        path = request.rel_url.raw_path
        often = self._often.get(path) if request.method == hdrs.METH_GET else None
        if metrics is not None:
            metrics.begin()
        try:
            response = await (self._tidily(request) if often is None else often(request))
        except Exception as error:  # the outermost edge: whatever it is, the caller gets a problem body
            response, refused = self._refused(request, error, request_id)
        headers = response.headers
        headers[REQUEST_ID] = request_id
        for name, value in self._fixed:
            headers[name] = value
        if self._cors is not None:
            self._cors.mark(request, response)
        duration_s = time.perf_counter() - started
        if metrics is not None and response.status == problem.CLIENT_GONE:
            metrics.abandon()
        elif metrics is not None:
            metrics.end(request.method, route_of(request) if often is None else path, response.status, duration_s)
        if log is not None:
            log.add(
                request.method,
                request.path,
                status=response.status,
                duration_s=duration_s,
                client_id=request.get(CLIENT),
                request_id=request_id,
                refusal=refused,
            )
        return response

    def _refused(
        self, request: web.Request, error: Exception, request_id: str
    ) -> tuple[web.StreamResponse, tuple[str, str]]:
        """Return the problem, and its reference and detail for the log."""
        reference = problem.instance_of(request_id)
        refusal = problem.refusal(error, invalid_token_status=self._invalid_token_status)
        if isinstance(error, Overloaded):
            _log.warning("overloaded", reference=reference, path=request.path, detail=str(error))
        elif isinstance(error, Unavailable):  # no traceback: while the database is away, every request says so
            _log.error("no database", reference=reference, path=request.path, cause=str(error.__cause__))
        elif refusal is None or refusal.status >= 500:
            _log.error("request failed", reference=reference, path=request.path, exc_info=error)
        refusal = refusal or problem.UNEXPECTED
        accept = request.headers.get(hdrs.ACCEPT, "")
        write = self._problem_writer(request.path)
        return write(refusal, accept=accept, reference=reference), (reference, refusal.detail)

    def _problem_writer(self, path: str) -> problem.WriteProblem:
        return next(
            (write for prefix, write in self._problem_writers if path.startswith(f"{prefix}/")), problem.response
        )

    async def _tidily(self, request: web.Request) -> web.StreamResponse:
        """Handle the request; a path with doubled or trailing slashes means the one without (COMPAT-022)."""
        preflight = None if self._cors is None else self._cors.preflight(request)
        if preflight is not None:
            return preflight
        try:
            return await self._handle(request)
        except web.HTTPNotFound:
            tidy = _UNTIDY.sub(lambda match: "/" if match.end() < len(request.path) else "", request.path)
            if tidy == request.path or not self._tidies:
                raise
        return await self._handle(
            request.clone(rel_url=request.rel_url.with_path(tidy).with_query(request.rel_url.query))
        )


class _Ids:
    """Ids for requests that bring none: UUIDs (version 8) of the process's own beginning and a number."""

    def __init__(self) -> None:
        digits = os.urandom(14).hex()
        self._beginning = f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}"
        self._numbers = itertools.count(int(digits[20:], 16) >> 1)

    def next(self) -> str:
        """Return a new id."""
        return f"{self._beginning}-{next(self._numbers) & _TWELVE_DIGITS:012x}"
