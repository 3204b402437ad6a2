"""The suite of 2.0b against a server of another project: it says what is wrong there and goes on to the end."""

import asyncio
import socket
import sys
from pathlib import Path

from oadr_conformance import Outcome
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.subject import Subject20b
from vtns import openleadr_server

from bench.support.net import free_port
from bench.support.processes import ServerProcess

_CRASHES = frozenset(
    {"an internal entity", "an entity bomb", "a quadratic bomb", "an external entity", "a parameter entity"}
)
"""Documents that end the process of that server."""
_FAULTS = {
    "B-OPT-010/served": "HTTP 404: it has no EiOpt",
    "B-EVT-005/no events": "oadrResponse instead of an empty oadrDistributeEvent",
    "B-TRN-002/other content types: json": "HTTP 500",
    "B-GEN-006/texts stay texts: 00123": "a text becomes a number",
    "B-GEN-006/texts stay texts: 1.2.3": "HTTP 500",
    "B-GEN-015/texts are escaped: a & b": "templates without escapes",
    "B-REG-012/cancel": "oadrResponse instead of oadrCanceledPartyRegistration",
    "B-CRE-006/unknown event": "an unknown event is taken",
}
"""What is known to be wrong with that server."""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_suite_says_what_is_wrong_with_a_stranger(tmp_path: Path) -> None:
    """Every known fault is found, and nothing stops the run."""
    port = free_port()
    command = [sys.executable, str(openleadr_server.__file__), str(port)]
    server = ServerProcess(command, log=tmp_path / "server.log", ready=lambda: _listens(port))
    subject = Subject20b(url=f"http://127.0.0.1:{port}", rulings=True, patience_s=1.0)
    checks = [check for check in ALL20B if check.case.partition(": ")[2] not in _CRASHES]
    server.start()
    try:
        result = asyncio.run(run20b(subject, checks))
    finally:
        server.stop()
    assert not result.cut_short
    failed = {one.check.key for one in result.results if one.outcome is Outcome.FAIL}
    assert failed >= _FAULTS.keys(), sorted(_FAULTS.keys() - failed)
    assert result.count(Outcome.PASS) > 50
    assert not result.conforms()
