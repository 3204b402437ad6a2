"""``oadr bridge panels``, ``commands``, ``acks`` and ``explain``: what a running bridge knows, over its HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import typer

from oadr.commands.bridge.options import PREFIX, ConfigOption, load_settings
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.output import AllOption, JsonOption, show_json, show_rows, wants_json
from oadr.terminal.text import visible

UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help=f"The bridge's HTTP API, if it is not that of the settings [{PREFIX}API__PORT]."),
]
PanelOption: TypeAlias = Annotated[str | None, typer.Option("--panel", help="Those of one panel.")]
EventOption: TypeAlias = Annotated[str | None, typer.Option("--event", help="Those of one event.")]

_PANELS: Final = {
    "venId": "Panel",
    "dialect": "Dialect",
    "online": "Online",
    "usedPowerKw": "Uses kW",
    "shedCapabilityKw": "Can shed kW",
    "holdsEvent": "Holds",
    "holdsKw": "Sheds kW",
    "holdsState": "Known as",
    "lastSeenAt": "Last heard",
}
_COMMANDS: Final = {
    "queuedAt": "Queued",
    "venId": "Panel",
    "op": "Op",
    "state": "State",
    "requestedShedKw": "kW",
    "responseMs": "ms",
    "reason": "Because",
    "error": "Error",
    "correlationId": "Correlation id",
}
_ACKS: Final = {
    "receivedAt": "Received",
    "venId": "Panel",
    "op": "Op",
    "status": "Status",
    "requestedShedKw": "Asked kW",
    "actualShedKw": "Sheds kW",
    "responseMs": "ms",
    "late": "Late",
    "error": "Error",
    "correlationId": "Correlation id",
}
_PAGE: Final = 1_000
_WITHIN_S: Final = 30.0


def panels(
    *, config: ConfigOption = None, url: UrlOption = None, as_json: JsonOption = False, everything: AllOption = False
) -> None:
    """List the panels: heard or not, what they use, and which event they hold."""
    with reporting():
        rows = asyncio.run(_Reader(config, url).pages("/api/panels"))
        for row in rows:
            holds = row["holds"] or {}
            row |= {f"holds{name}": holds.get(key) for name, key in _HELD.items()}
        show_rows(rows, _PANELS, as_json=as_json, title="Panels", empty="no panels", everything=everything)


_HELD: Final = {"Event": "eventId", "Kw": "requestedKw", "State": "state"}


def commands(
    *,
    panel: PanelOption = None,
    event: EventOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
    everything: AllOption = False,
) -> None:
    """List the newest commands of a panel, or all of an event, with what became of each."""
    with reporting():
        _one_of(panel, event)
        reader = _Reader(config, url)
        if panel is not None:
            rows = asyncio.run(reader.get(f"/api/panels/{_in_path(panel)}"))["commands"]
        else:
            parts = asyncio.run(reader.pages(f"/api/events/{_in_path(event)}", "panels"))
            rows = [command for part in parts for command in part["commands"]]
        if panel is not None and event is not None:
            rows = [row for row in rows if row["eventId"] == event]
        show_rows(rows, _COMMANDS, as_json=as_json, title="Commands", empty="no commands", everything=everything)


def acks(
    *,
    panel: PanelOption = None,
    event: EventOption = None,
    op: Annotated[str | None, typer.Option(help="Only these, as shedPanel, in the words of any dialect.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these, as rejected.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="How many, newest first.")] = 100,
    config: ConfigOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
    everything: AllOption = False,
) -> None:
    """List what panels have answered, newest first."""
    with reporting():
        _one_of(panel, event)
        query = {"op": op, "status": status, "limit": str(limit)}
        if panel is not None:
            path, query["eventId"] = f"/api/vens/{_in_path(panel)}/acks", event
        else:
            path = f"/api/events/{_in_path(event)}/acks"
        found = asyncio.run(_Reader(config, url).get(path, query))
        title = "Acknowledgments"
        show_rows(found["acks"], _ACKS, as_json=as_json, title=title, empty="no answers", everything=everything)


def explain(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    *,
    panel: Annotated[str | None, typer.Option(help="Only the part of one panel.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="Panels of an interval that are named.")] = 100,
    config: ConfigOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an event asked of whom, and why."""
    with reporting():
        from bridge_mqtt.explaining import lines

        query = {"limit": str(limit), "venId": panel}
        found = asyncio.run(_Reader(config, url).get(f"/api/events/{_in_path(event)}/explanation", query))
        if wants_json(as_json):
            show_json(found)
        else:
            for line in lines(found):
                typer.echo(visible(line))


class _Reader:
    """Asks the bridge that the settings describe; raises Failure with what to do if it does not answer as it should."""

    def __init__(self, config: Path | None, url: str | None) -> None:
        settings = load_settings(config).api
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._url = (url or f"http://{host}:{settings.port}").rstrip("/")
        self._headers = (
            {} if settings.token is None else {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        )

    async def get(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        """Return the answer to one question."""
        import aiohttp

        given = {name: value for name, value in (query or {}).items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.get(self._url + path, params=given) as answer,
            ):
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Failure(
                f"no bridge answers at {self._url} ({error or type(error).__name__}); start it, or name it with --url",
                Exit.UNREACHABLE,
            ) from None
        return _usable(self._url + path, answer.status, body)

    async def pages(self, path: str, member: str | None = None) -> list[dict[str, Any]]:
        """Return a whole list, which is the answer or a member of it."""
        rows: list[dict[str, Any]] = []
        while True:
            found = await self.get(path, {"limit": str(_PAGE), "skip": str(len(rows))})
            page = found if member is None else found[member]
            rows += page
            if len(page) < _PAGE:
                return rows


def _usable(url: str, status: int, body: bytes) -> Any:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Failure(f"{url} answers {status} without JSON; is it a bridge?", Exit.UNREACHABLE) from None
    if status == 200:
        return document
    detail = document.get("detail") if isinstance(document, dict) else None
    if status in {401, 403}:
        text = f"the bridge refuses this token: {detail}; set api.token, as {PREFIX}API__TOKEN"
        raise Failure(text, Exit.UNAUTHORIZED)
    raise Failure(f"{url}: {status} {detail}", Exit.UNREACHABLE if status >= 500 else Exit.REFUSED)


def _one_of(panel: str | None, event: str | None) -> None:
    if panel is None and event is None:
        raise Failure("name a panel with --panel, or an event with --event", Exit.USAGE)


def _in_path(name: str | None) -> str:
    return quote(name or "", safe="")
