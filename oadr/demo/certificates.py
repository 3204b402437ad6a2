"""The demo's own certificate authority: made for one run, in its temporary folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """The files of the demo's own authority. ``fingerprints`` are those by which OpenADR 2.0b knows the clients."""

    ca: Path
    server: tuple[Path, Path]
    clients: dict[str, tuple[Path, Path]]
    fingerprints: dict[str, str]


def issue(folder: Path, clients: Iterable[str]) -> Certificates:
    """Issue certificates for a server on 127.0.0.1 and for clients.

    They hold by the real time: TLS is checked by it, however fast the demo's clock runs.
    """
    from certs import Authority, openadr_fingerprint

    def now() -> datetime:
        return datetime.now(UTC)

    place, lifetime = folder / "certificates", timedelta(days=365)
    authority = Authority.create("OpenADR Fleet demo", now=now, lifetime=timedelta(days=3650))
    ca = authority.save(place)
    server = authority.issue_server("localhost", alternative_names=("127.0.0.1",), lifetime=lifetime).save(place)
    issued = {name: authority.issue_client(name, lifetime=lifetime) for name in clients}
    saved = {name: one.save(place) for name, one in issued.items()}
    return Certificates(
        ca=ca.certificate,
        server=(server.certificate, server.key),
        clients={name: (pair.certificate, pair.key) for name, pair in saved.items()},
        fingerprints={name: openadr_fingerprint(one.certificate) for name, one in issued.items()},
    )
