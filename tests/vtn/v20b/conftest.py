"""One VTN that serves OpenADR 2.0b for each kind of database, and VENs with certificates of their own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from openadr_profiles.v20b import fingerprint
from tests.support.pki import Pki, TlsFiles
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Moment, VtnUnderTest, unique
from tests.vtn.v20b.scripted_ven import ScriptedVen
from vtn.access import DEFAULT_SCOPES, Caller, Role

OPERATOR = Caller("", Role.BL, DEFAULT_SCOPES[Role.BL])

Enrol = Callable[..., Awaitable[ScriptedVen]]


class RealTime(Moment):
    """The time of this machine, which the VEN goes by."""

    def __call__(self) -> datetime:
        """Return the present time."""
        return datetime.now(UTC)


def fingerprint_of(files: TlsFiles) -> str:
    """The fingerprint of a certificate, by which it is enrolled."""
    return fingerprint.of(ssl.PEM_cert_to_DER_cert(files.certificate.read_text()))


def v20b_settings(pki: Pki, **members: Any) -> dict[str, Any]:
    """Settings of the listener: a free port, a certificate, and an authority."""
    server = pki.server()
    always = {"port": 0, "cert": server.certificate, "key": server.key, "ca": pki.ca, "burst": 5000, "check_sent": True}
    return always | members


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_vtn_20b(shared_url_20b: str, pki: Pki) -> AsyncIterator[VtnUnderTest]:
    """The server that the tests of this room share."""
    vtn = VtnUnderTest(settings_for(shared_url_20b, v20b=v20b_settings(pki)))
    await vtn.start()
    yield vtn
    await vtn.stop()


@pytest.fixture(scope="session")
def shared_url_20b(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the database of that server."""
    from tests.vtn.conftest import _copy

    return _copy(kind, request, tmp_path_factory.mktemp("shared20b"))


@pytest_asyncio.fixture(loop_scope="session")
async def vtn20(shared_vtn_20b: VtnUnderTest) -> VtnUnderTest:
    """A VTN without any object that serves OpenADR 2.0b."""
    await shared_vtn_20b.wipe()
    return shared_vtn_20b


@pytest_asyncio.fixture(loop_scope="session")
async def ven20(pki: Pki) -> AsyncIterator[Enrol]:
    """Make VENs: with a new certificate or a given one, enrolled and registered unless told otherwise."""
    made: list[ScriptedVen] = []

    async def make(
        vtn: VtnUnderTest,
        *,
        files: TlsFiles | None = None,
        enrolled: bool = True,
        registered: bool = True,
        targets: tuple[str, ...] | None = None,
        **given: Any,
    ) -> ScriptedVen:
        files = files or pki.client(unique("ven20b"))
        port = vtn.server.port_20b
        assert port is not None
        ven = ScriptedVen(port, files, pki.ca)
        made.append(ven)
        if enrolled:
            name, stores = unique("home20b"), vtn.server.stores
            assert stores is not None
            await stores.v20b.vens.enrol(name, by=OPERATOR, fingerprint=fingerprint_of(files), targets=targets, **given)
            if registered:
                assert (await ven.create()).code == "200"
        return ven

    yield make
    for ven in made:
        await ven.close()
