"""VENs of OpenADR 2.0b in the database: who is enrolled, by which certificates, and who is registered how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, delete, insert, or_, select, update

from openadr_profiles.v31 import BlVenRequest, Invalid
from openadr_profiles.ven_20b import CLIENT_PREFIX
from vtn.access import DEFAULT_SCOPES, Caller, Role
from vtn.counters.revisions import Watch
from vtn.errors import Conflict, NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.fact_cache import FactCache
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, events, programs, resources, vens
from vtn.store.v20b.tables import (
    oadr20b_capabilities,
    oadr20b_certificates,
    oadr20b_outbox,
    oadr20b_vens,
)
from vtn.store.ven import VenStore

MOST_CERTIFICATES: Final = 2
"""Certificates that one VEN may be known by: the present one, and the next one (B-SEC-013)."""
_REMEMBERED: Final = 50_000

_VENS = oadr20b_vens.join(vens, vens.c.id == oadr20b_vens.c.ven_id)
_COLUMNS = (*oadr20b_vens.c, vens.c.client_id, vens.c.name)


@dataclass(frozen=True, slots=True)
class Ven20b:
    """A VEN that is enrolled. ``id`` is that of its ven, ``ven_id`` the venID in messages, as it was given.

    ``registration_id`` is empty while it is not registered. ``poll_s`` is the interval that it is asked to poll at.
    """

    id: str
    ven_id: str
    client_id: str
    name: str
    registration_id: str
    push_url: str | None
    report_only: bool
    signs: bool
    is_disabled: bool
    poll_s: int

    @property
    def is_registered(self) -> bool:
        """Return True if it is registered."""
        return bool(self.registration_id)

    @property
    def is_pushed_to(self) -> bool:
        """Return True if it registered to be pushed to, and may be."""
        return self.push_url is not None and self.is_registered and not self.is_disabled

    @property
    def caller(self) -> Caller:
        """Return the VEN as the stores know it: a client of the role VEN, like one with a token."""
        return Caller(self.client_id, Role.VEN, DEFAULT_SCOPES[Role.VEN])


class VenStore20b:
    """Enrolled VENs. Who asks for the same ones again and again is answered from memory while nothing changes."""

    def __init__(self, database: Database, stamps: Stamps, vens_: VenStore, *, poll_s: int) -> None:
        self._database = database
        self._stamps = stamps
        self._vens = vens_
        self._poll_s = poll_s
        watch = database.watch(oadr20b_certificates)
        self._known: FactCache[Ven20b | None] = FactCache(watch, most=_REMEMBERED)

    async def by_fingerprint(self, fingerprint: str) -> Ven20b | None:
        """Return the VEN that a certificate is of, by its fingerprint; None if there is none (B-SEC-006)."""

        async def look_up() -> Ven20b | None:
            its = select(oadr20b_certificates.c.ven_id).where(oadr20b_certificates.c.fingerprint == fingerprint)
            row = await self._database.row(_selected().where(oadr20b_vens.c.ven_id.in_(its)))
            return None if row is None else self._ven(row)

        return await self._known.get(fingerprint, look_up)

    async def get(self, id_: str) -> Ven20b:
        """Return the VEN with this ven; raises NotFound."""
        row = await self._database.row(_selected().where(oadr20b_vens.c.ven_id == id_))
        if row is None:
            raise NotFound
        return self._ven(row)

    async def pushed_to(self, *, after: str, limit: int) -> list[Ven20b]:
        """Return VENs that are pushed to, in the order of their ids, from the one behind ``after`` on."""
        its = (oadr20b_vens.c.push_url.is_not(None), oadr20b_vens.c.registration_id.is_not(None))
        statement = _selected().where(*its, oadr20b_vens.c.is_disabled.is_(False), oadr20b_vens.c.ven_id > after)
        rows = await self._database.rows(statement.order_by(oadr20b_vens.c.ven_id).limit(limit))
        return [self._ven(row) for row in rows]

    def watch(self) -> Watch | None:
        """Return a watch on all that decides what VENs are to be told; None if it cannot be watched."""
        return self._database.watch(
            oadr20b_vens, oadr20b_outbox, oadr20b_capabilities, events, programs, resources, oadr20b_certificates
        )

    async def fingerprints(self, id_: str) -> frozenset[str]:
        """Return the fingerprints a VEN is known by."""
        its = select(oadr20b_certificates.c.fingerprint).where(oadr20b_certificates.c.ven_id == id_)
        return frozenset(row["fingerprint"] for row in await self._database.rows(its))

    async def enrol(
        self,
        name: str,
        *,
        by: Caller,
        fingerprint: str | None = None,
        dropped: str | None = None,
        wire_id: str | None = None,
        targets: tuple[str, ...] | None = None,
        signs: bool | None = None,
        is_disabled: bool | None = None,
        only_new: bool = False,
    ) -> str:
        """Enrol a VEN by its name, or change what is known of it, unless ``only_new``; return the id of its ven.

        Fingerprints are 10 octets, as ``AA:BB:…``. Raises Invalid and Conflict; then nothing has changed.
        """
        try:
            async with self._database.write() as connection:
                id_, is_new = await self._enrolled(connection, name, by, fingerprint, wire_id, targets)
                if wire_id is not None and not is_new:
                    await _check_unregistered(connection, id_, wire_id)
                if only_new and not is_new:
                    raise Conflict("venName: a VEN of this name is enrolled")
                if fingerprint is not None:
                    await self._add_certificate(connection, id_, fingerprint)
                if dropped is not None:
                    await _drop_certificate(connection, id_, dropped)
                changed = {
                    name: value
                    for name, value in (("wire_id", wire_id), ("signs", signs), ("is_disabled", is_disabled))
                    if value is not None
                }
                if changed:
                    await connection.execute(update(oadr20b_vens).where(oadr20b_vens.c.ven_id == id_).values(changed))
                return id_
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def remove(self, id_: str) -> None:
        """Take the enrolment of a VEN back, with its registration; its ven stays. Raises NotFound."""
        gone = delete(oadr20b_vens).where(oadr20b_vens.c.ven_id == id_).returning(oadr20b_vens.c.ven_id)
        async with self._database.write() as connection:
            if (await connection.execute(gone)).first() is None:
                raise NotFound

    async def _enrolled(
        self,
        connection: AsyncConnection,
        name: str,
        by: Caller,
        fingerprint: str | None,
        wire_id: str | None,
        targets: tuple[str, ...] | None,
    ) -> tuple[str, bool]:
        """Return the id of the ven of this name, which is enrolled if it was not, and whether that is new."""
        its = select(vens.c.id, oadr20b_vens.c.ven_id.label("enrolled")).select_from(
            vens.outerjoin(oadr20b_vens, oadr20b_vens.c.ven_id == vens.c.id)
        )
        found = (await connection.execute(its.where(vens.c.name == name))).mappings().first()
        if found is not None and found["enrolled"] is not None:
            if targets is not None:
                raise Invalid("targets", "are given to a ven that is there already; change its ven")
            return str(found["id"]), False
        if found is not None:
            raise Conflict("venName: a VEN of OpenADR 3 has this name; one of 2.0b needs a ven of its own")
        if fingerprint is None:
            raise Invalid("addFingerprint", "is needed to enrol a VEN; no VEN of this name is enrolled")
        client_id = CLIENT_PREFIX + fingerprint.replace(":", "").lower()
        ven = BlVenRequest(client_id=client_id, ven_name=name, targets=targets)
        id_ = await self._vens.create_in(connection, ven, by=by)
        await connection.execute(
            insert(oadr20b_vens).values(
                ven_id=id_, wire_id=wire_id or id_, is_report_only=False, signs=False, is_disabled=False
            )
        )
        return id_, True

    async def _add_certificate(self, connection: AsyncConnection, id_: str, fingerprint: str) -> None:
        its = select(oadr20b_certificates).where(
            or_(oadr20b_certificates.c.ven_id == id_, oadr20b_certificates.c.fingerprint == fingerprint)
        )
        rows = (await connection.execute(its)).mappings().all()
        if any(row["ven_id"] != id_ for row in rows):
            raise Conflict("addFingerprint: another VEN is enrolled with this certificate")
        if any(row["fingerprint"] == fingerprint for row in rows):
            return
        if len(rows) >= MOST_CERTIFICATES:
            raise Conflict(
                f"addFingerprint: the VEN is known by {MOST_CERTIFICATES} certificates already; drop one of them"
            )
        row = {"fingerprint": fingerprint, "ven_id": id_, "added_at": self._stamps.now}
        await connection.execute(insert(oadr20b_certificates).values(row))

    def _ven(self, row: Mapping[Any, Any]) -> Ven20b:
        return Ven20b(
            id=row["ven_id"],
            ven_id=row["wire_id"],
            client_id=row["client_id"],
            name=row["name"],
            registration_id=row["registration_id"] or "",
            push_url=row["push_url"],
            report_only=row["is_report_only"],
            signs=row["signs"],
            is_disabled=row["is_disabled"],
            poll_s=self._poll_s,
        )


def _selected() -> Select[Any]:
    return select(*_COLUMNS).select_from(_VENS)


async def _check_unregistered(connection: AsyncConnection, id_: str, wire_id: str) -> None:
    """Raise Conflict if a VEN is registered under another venID: it would be a stranger under the one it knows."""
    its = select(oadr20b_vens.c.wire_id, oadr20b_vens.c.registration_id).where(oadr20b_vens.c.ven_id == id_)
    row = (await connection.execute(its)).mappings().first()
    if row is not None and row["registration_id"] and row["wire_id"] != wire_id:
        raise Conflict("wireID: the VEN is registered under another venID; have it unregister first")


async def _drop_certificate(connection: AsyncConnection, id_: str, fingerprint: str) -> None:
    gone = delete(oadr20b_certificates).where(
        oadr20b_certificates.c.ven_id == id_, oadr20b_certificates.c.fingerprint == fingerprint
    )
    if (await connection.execute(gone.returning(oadr20b_certificates.c.ven_id))).first() is None:
        raise Invalid("dropFingerprint", "the VEN is not known by this certificate")


def _conflict(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(vens, "client_id")) or error.is_of(constraint(vens, "name")):
        return Conflict("addFingerprint: another VEN is enrolled with this certificate, or was")
    if error.is_of(constraint(oadr20b_vens, "wire_id")):
        return Conflict("wireID: another VEN has this venID")
    return error
