"""Look at this machine for alarms: when certificates end, and how much room its disks have. All of it blocks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from vtn.alarms.rules import CertificateEnd, DiskSpace
from vtn.settings import Settings

_log = structlog.get_logger(__name__)

_LARGEST_BYTES: Final = 1024 * 1024


def certificates(settings: Settings) -> list[CertificateEnd]:
    """Return the certificates that this server shows to others; a file that cannot be read is logged and left out."""
    found = []
    for setting, file in certificate_files(settings):
        try:
            found.append(CertificateEnd(setting, str(file), certificate_end(file)))
        except (OSError, ValueError) as error:
            _log.warning("a certificate cannot be read", setting=setting, file=str(file), error=str(error))
    return found


def certificate_end(file: Path) -> datetime:
    """Return when the first certificate in a file of PEM ends; raises OSError, ValueError."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 (a start need not wait for it)

    with file.open("rb") as opened:
        return load_pem_x509_certificate(opened.read(_LARGEST_BYTES)).not_valid_after_utc.astimezone(UTC)


def disks(settings: Settings) -> list[DiskSpace]:
    """Return the room on the disks that this server writes to: of its file of SQLite, and of the file of keys."""
    places: dict[int, tuple[str, Path]] = {}
    for what, folder in _folders(settings):
        try:
            places.setdefault(folder.stat().st_dev, (what, folder))
        except OSError:
            continue
    found = []
    for what, folder in places.values():
        try:
            usage = shutil.disk_usage(folder)
        except OSError as error:
            _log.warning("the room on a disk cannot be read", folder=str(folder), error=str(error))
        else:
            found.append(DiskSpace(what, str(folder), usage.free, usage.total))
    return found


def certificate_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield the files of certificates that this server shows to others, each with its setting."""
    if settings.tls is not None:
        yield "tls.cert", settings.tls.cert
    v20b = settings.v20b
    if v20b is not None and v20b.enabled:
        for setting, file in (("v20b.cert", v20b.cert), ("v20b.rsa_cert", v20b.rsa_cert)):
            if file is not None:
                yield setting, file
        if v20b.push is not None and v20b.push.cert is not None:
            yield "v20b.push.cert", v20b.push.cert
    if settings.mqtt is not None and settings.mqtt.cert is not None:
        yield "mqtt.cert", settings.mqtt.cert


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    if (file := settings.database.file) is not None:
        yield "the database", file.absolute().parent
    if settings.secrets_key_file is not None:
        yield "the key of secrets", settings.secrets_key_file.absolute().parent
