"""Commands as processes of their own are judged like those in the process of the tests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import _problems
from tests.e2e.processes import oadr
from tests.oadr.conftest import Operator
from tests.support.sent import Sent


def test_the_requests_of_a_command_are_written_down_and_valid(operator: Operator, sent: Sent) -> None:
    """Without the secrets of the client."""
    list(sent.read())
    oadr("event", "list", environment=operator.environment)
    ((method, url, query, body),) = [each for each in sent.read() if each[1].endswith("/events")]
    assert (method, url, body) == ("GET", f"{operator.url}/events", None)
    assert ("limit", "50") in query
    assert operator.secrets["utility"] not in sent._file.read_text()


@pytest.mark.sends_invalid_requests
def test_a_request_that_is_not_valid_is_found(operator: Operator, sent: Sent) -> None:
    """The client is asked to send what the document does not have."""
    list(sent.read())
    script = (
        "import asyncio, sys\nfrom openadr_client.client import VtnClient\n"
        "async def ask():\n"
        "    async with VtnClient(base_url=sys.argv[1], token='none') as client:\n"
        "        await client._send('GET', '/programs', query=[('programName', 'x')])\n"
        "asyncio.run(ask())\n"
    )
    subprocess.run([sys.executable, "-c", script, operator.url], env=os.environ, capture_output=True, check=False)
    problems = [problem for each in sent.read() for problem in _problems(*each)]
    assert len(problems) == 1
    assert "?programName: the operation has no such parameter" in problems[0]
