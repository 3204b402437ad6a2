"""Homes: ``oadr ven run`` as a process of its own, with so many circuits, at the VTN that is measured."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import noted_panel
from bench.errors import NotReady
from bench.processes import Cores, MeasuredProcess, Meter, python
from bench.support.net import free_port
from bench.vtn import Vtn
from bench.wire import Address

NAME: Final = "bench-home"
"""The ven that `bench.vtn` has enrolled for the client that is measured."""

_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.02
_NUMBERS: Final = count(1)


@dataclass(frozen=True, slots=True)
class VenProcess:
    """A VEN that runs, and is known to the VTN. ``local`` is its local API, if it has one."""

    process: MeasuredProcess
    meter: Meter
    local: Address | None
    diary: Path

    def notes(self) -> list[tuple[str, float, str]]:
        """Return what its `NotedPanel` was told: call, Unix time, circuit."""
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        return [(call, float(at), circuit) for call, at, circuit in map(str.split, lines)]

    async def told(self, call: str, *, since: int, number: int) -> list[float]:
        """Return the Unix times of so many calls that come after so many notes; raises NotReady if they do not."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            times = [at for what, at, _ in self.notes()[since:] if what == call]
            if len(times) >= number:
                return times
            if time.monotonic() > deadline:
                raise NotReady(f"the VEN made {len(times)} of {number} calls {call!r}:\n{self.process.log_end()}")
            await asyncio.sleep(_POLL_S)


def circuits(number: int) -> list[dict[str, Any]]:
    """Return so many circuits, all of which may be shed."""
    return [
        {"id": f"circuit-{place}", "breaker_amps": 20, "rated_kw": 2, "priority": 1 + place % 9, "shed_share": 1}
        for place in range(number)
    ]


@asynccontextmanager
async def home(
    vtn: Vtn, cores: Cores, folder: Path, *, circuit_count: int, local: bool = False, **settings: Any
) -> AsyncIterator[VenProcess]:
    """Yield a VEN for the time of the block; ``settings`` are members of its configuration file.

    Raises:
        NotReady: it is not known to the VTN, with all its circuits, after a minute.
    """
    credentials = vtn.credentials
    assert credentials is not None
    packages = _with_driver(folder)
    folder /= f"home-{next(_NUMBERS)}"
    folder.mkdir()
    port = free_port() if local else None
    given: dict[str, Any] = {
        "ven_name": NAME,
        "store": str(folder / "ven.sqlite3"),
        "vtn": {"url": vtn.address.url, "client_id": credentials.client_id},
        "circuits": circuits(circuit_count),
        **({"local": {"port": port}} if local else {}),
        **settings,
    }
    if given.get("driver", {}).get("kind") == noted_panel.KIND:
        given["driver"]["options"]["diary"] = str(folder / "diary")
    config = folder / "home.toml"
    config.write_text(as_toml(given))
    process = MeasuredProcess(
        python("oadr", "ven", "run", "--config", str(config)),
        cores=cores.server,
        log=folder / "ven.log",
        environment={
            "OADR_VEN_VTN__CLIENT_SECRET": credentials.secret,
            "PYTHONPATH": os.pathsep.join(str(each) for each in (packages, _root())),
        },
    )
    wanted = {each["id"] for each in given["circuits"]}
    await vtn.ven.delete_all([f"/resources/{each['id']}" for each in await _resources(vtn)])
    try:
        await process.start_until(lambda: _is_known(vtn, wanted))
        yield VenProcess(
            process, Meter(process.pid), None if port is None else Address("127.0.0.1", port), folder / "diary"
        )
    finally:
        process.stop()


async def opted(vtn: Vtn, event_id: str) -> None:
    """Return once the VEN has reported that it has decided on an event; raises NotReady after a minute."""
    deadline = time.monotonic() + _PATIENCE_S
    while not msgspec.json.decode((await vtn.bl.read(f"/reports?eventID={event_id}")).body):
        if time.monotonic() > deadline:
            raise NotReady("the VEN does not report on its event")
        await asyncio.sleep(_POLL_S)


async def _is_known(vtn: Vtn, wanted: Iterable[str]) -> bool:
    return set(wanted) <= {each["resourceName"] for each in await _resources(vtn)}


async def _resources(vtn: Vtn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode((await vtn.ven.read("/resources?limit=50")).body)
    return found


def _root() -> Path:
    return Path(__file__).resolve().parent.parent


def _with_driver(folder: Path) -> Path:
    """Return a folder which holds the entry point of `NotedPanel`, as an installed package has it."""
    packages = folder / "packages"
    about = packages / "bench-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bench\nVersion: 0\n")
    (about / "entry_points.txt").write_text(f"[openadr_fleet.drivers]\n{noted_panel.KIND} = bench.noted_panel:create\n")
    return packages


def as_toml(members: Mapping[str, Any]) -> str:
    """Return settings as a TOML file: a line for each member, tables inline."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in members.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_value(each)}' for name, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)
