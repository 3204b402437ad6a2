"""Serve what polls of OpenADR 2.0b are compared with: openleadr's server, and a handler that only reads.

``python -m bench.polls_20b openleadr PORT VENS`` serves so many registered VENs from memory; ``POST /change`` has each
of them told of its events at its next poll. ``python -m bench.polls_20b bare PORT EMPTY CHANGED`` checks each poll
against the schema and answers with the bytes of a file, at ``/empty`` and ``/changed``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import uvloop
from aiohttp import web
from lxml import etree
from openleadr import OpenADRServer

from bench.documents import wire_id
from bench.messages_20b import events_of_openleadr
from openadr_profiles.v20b.schemas import schema

_HOST: Final = "127.0.0.1"
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


async def serve_openleadr(port: int, vens: int) -> None:
    """Serve registered VENs with ten events each, which they share."""
    known = {
        wire_id(place): {"ven_id": wire_id(place), "registration_id": f"registration-{place}"} for place in range(vens)
    }

    def lookup(ven_id: str) -> dict[str, str] | None:
        return known.get(ven_id)

    server = OpenADRServer("VTN", http_host=_HOST, http_port=port, ven_lookup=lookup)
    events = server.services["event_service"].events
    updated = server.services["poll_service"].events_updated
    shared = events_of_openleadr()
    events.update((ven_id, shared) for ven_id in known)

    async def change(_: web.Request) -> web.Response:
        updated.update(dict.fromkeys(known, True))
        return web.Response()

    server.app.router.add_post("/change", change)
    await server.run()


async def serve_bare(port: int, answers: dict[str, bytes]) -> None:
    """Serve the same answer to each poll that the schema allows."""
    app = web.Application()
    for name, body in answers.items():
        app.router.add_post(f"/{name}", _answering(body))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, _HOST, port, backlog=1024).start()


def _answering(body: bytes) -> Any:
    checker = schema()

    async def handle(request: web.Request) -> web.Response:
        checker.assertValid(etree.fromstring(await request.read(), _PARSER))
        return web.Response(body=body, content_type="application/xml")

    return handle


def _content(file: str) -> bytes:
    return Path(file).read_bytes()


async def _main(kind: str, port: int, *rest: str) -> None:
    if kind == "openleadr":
        await serve_openleadr(port, int(rest[0]))
    else:
        await serve_bare(port, dict(zip(("empty", "changed"), map(_content, rest), strict=True)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
