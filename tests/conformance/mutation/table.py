"""Which fault each check exists for. A check must fail on every fault whose patterns name it.

A pattern is a key of a check with `*`; `[` stands for itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final

from mutation import faults as f
from mutation.faults import Fault, Obj, drops, renames, sets
from mutation.proxy import Asked, Handler, Told

_READS = ("GET",)
_WRITES = ("POST", "PUT")


def _only(path: str, handler: Handler, method: str = "") -> Handler:
    """The fault where the path below the prefix begins so, nowhere else."""

    async def handle(asked: Asked, upstream: Any) -> Told:
        mine = asked.below.startswith(path) and (not method or asked.method == method)
        return await (handler(asked, upstream) if mine else upstream.send(asked))

    return handle


def _token(handler: Handler) -> Handler:
    """The fault at the token endpoint only."""

    async def handle(asked: Asked, upstream: Any) -> Told:
        return await (handler(asked, upstream) if asked.path.endswith("/auth/token") else upstream.send(asked))

    return handle


def _oauth(**members: Any) -> Handler:
    return _token(f.errors(sets(**members)))


def _by_modification(found: list[Obj]) -> list[Obj]:
    return sorted(found, key=lambda obj: str(obj["modificationDateTime"]), reverse=True)


def _later(obj: Obj) -> Obj:
    """The start moved by a random time, as only a client may do."""

    def move(start: str) -> str:
        moment = datetime.fromisoformat(start) + timedelta(seconds=random.randint(1, 900))
        return moment.astimezone(UTC).isoformat()

    return renames("start", move)(obj)


def _as_requested(obj: Obj) -> Obj:
    return obj | {"objectType": f"BL_{obj['objectType']}_REQUEST"} if "objectType" in obj else obj


_ids = iter(range(10**9))


def _another_client(obj: Obj) -> Obj:
    return obj | {"clientID": f"somebody-{next(_ids)}"}


_BAD_BODIES: Final = (
    "GEN-005/*",
    "GEN-015/required*",
    "OBJ-001/*",
    "OBJ-003/*",
    "OBJ-007/*",
    "OBJ-011/broken*",
    "OBJ-012/*",
)
_SEARCH_ROWS: Final = tuple(f"MATRIX-001/another ven searches: M{number:02}*" for number in (1, 6, 11, 16, 21, 26))
_READ_ROWS: Final = tuple(f"M{number:02}*" for number in range(1, 31) if number % 5 in {1, 3})
_WRITTEN_ROWS: Final = ("M04*", "M05*", "M09*", "M10*", "M14*", "M15*", "M19*", "M20*", "M24*", "M25*", "M29*", "M30*")


def _rows(title: str, rows: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"MATRIX-001/{title}: {row}" for row in rows)


def _fault(name: str, handler: Any, *arguments: Any, **options: Any) -> Fault:
    return Fault(name, partial(handler, *arguments, **options))


def _combined(name: str, make: Any) -> Fault:
    return Fault(name, make)


def _every_fifth() -> Handler:
    count = iter(range(1, 10**9))
    return f.refuses_if(429, lambda _asked: next(count) % 5 == 0)


TABLE: Final[tuple[tuple[Fault, tuple[str, ...]], ...]] = (
    # Bodies
    (
        _fault("a wrong body is accepted", f.accepts),
        (
            *_BAD_BODIES,
            "OBJ-002/*",
            "OBJ-014/one of many*",
            "GEN-004/other*",
            "GEN-008/*",
            "GEN-017/no numbers*",
            "GEN-009/order of checks: authentication before the body",
            "GEN-009/order of checks: role before the body",
            "GEN-009/body before uniqueness",
            "GEN-015/nothing*",
            "PROG-002/*",
            "PROG-005/*",
            "PROG-014/*POST",
            "EVT-003/*",
            "EVT-004/*",
            "EVT-006/bad*",
            "EVT-007/incomplete*",
            "EVT-014/*POST",
            "EVT-015/*",
            "EVT-017/*",
            "REPORT-003/*",
            "REPORT-005/*",
            "REPORT-010/incomplete*",
            "VEN-003/*",
            "VEN-004/*",
            "VEN-006/*",
            "VEN-008/unknown form",
            "RES-003/*",
            "RES-004/*",
            "RES-005/*",
            "RES-008/*",
            "RES-015/*",
            "PRIV-016/reports*",
            "SUBS-004/unknown*",
            "SUBS-005/*",
            "SUBS-007/other*",
            "SUBS-016/*",
            "WEBHOOK-001/*",
            "TIME-002/*",
            "TIME-006/*",
            "TIME-007/*",
            "AUTH-015/*",
            "MATRIX-001/wrong scope*POST*",
        ),
    ),
    (
        _fault("a wrong body is accepted by PUT", f.accepts, "PUT"),
        (
            *_BAD_BODIES,
            "PROG-003/rename*",
            "PROG-014/*PUT",
            "EVT-010/move",
            "EVT-011/*",
            "EVT-014/*PUT",
            "REPORT-003/*",
            "REPORT-008/*PUT",
            "REPORT-013/*",
            "VEN-005/*",
            "VEN-016/*PUT",
            "RES-003/*",
            "RES-012/*",
            "RES-014/*",
            "SUBS-003/*PUT",
            "PRIV-018/*",
            "MATRIX-002/*PUT*",
            "GEN-009/*existence*",
            "GEN-009/*authentication before existence",
            "GEN-009/*role before existence",
        ),
    ),
    (
        _fault("a refused PUT or DELETE happens all the same", f.does_it_anyway),
        (
            *_BAD_BODIES,
            "PROG-003/rename*",
            "PROG-014/*PUT",
            "PROG-014/*DELETE",
            "EVT-010/move",
            "EVT-014/*PUT",
            "EVT-014/*DELETE",
            "VEN-005/*",
            "VEN-016/*PUT",
            "VEN-016/*DELETE",
            "SUBS-003/*PUT",
            "SUBS-003/*DELETE",
            "PRIV-018/*",
            "ETAG-004/lost update*",
            *(
                row
                for title in ("no token", "bad token", "wrong scope", "another ven")
                for row in _rows(title, _WRITTEN_ROWS)
            ),
        ),
    ),
    (_fault("a refused POST creates something", f.creates_anyway), ("GEN-015/nothing*",)),
    (
        _fault("a good write is refused", f.refuses),
        (
            "GEN-003/*",
            "GEN-004/no*",
            "GEN-011/*",
            "GEN-013/*",
            "GEN-014/*",
            "GEN-016/*",
            "GEN-017/values*",
            "OBJ-002/*",
            "OBJ-004/*",
            "OBJ-005/*",
            "OBJ-010/duplicate*",
            "OBJ-011/points*",
            "OBJ-013/*",
            "OBJ-014/never*",
            "PROG-001/*",
            "PROG-003/keep*",
            "PROG-004/*",
            "PROG-006/*",
            "PROG-007/*",
            "PROG-008/*",
            "PROG-009/*",
            "PROG-011/*",
            "PROG-015/*",
            "PROG-016/*",
            "EVT-001/*",
            "EVT-002/*",
            "EVT-005/*",
            "EVT-006/good*",
            "EVT-007/empty*",
            "EVT-008/*",
            "EVT-010/*",
            "EVT-016/*",
            "EVT-019/*",
            "REPORT-001/*",
            "REPORT-002/*",
            "REPORT-006/*",
            "REPORT-007/*",
            "REPORT-009/*",
            "REPORT-010/unknown*",
            "REPORT-011/*",
            "REPORT-013/*",
            "VEN-001/*",
            "VEN-002/*",
            "VEN-007/*",
            "VEN-008/form*",
            "VEN-010/*",
            "VEN-011/*",
            "VEN-014/*",
            "VEN-017/*",
            "VEN-018/*",
            "RES-001/*",
            "RES-002/*",
            "RES-003/*",
            "RES-006/*",
            "RES-009/*",
            "RES-011/*",
            "RES-012/move",
            "RES-017/*",
            "COMPAT-030/*",
            "COMPAT-053/*",
            "SUBS-001/*",
            "SUBS-004/program*",
            "SUBS-006/*",
            "SUBS-007/operation*",
            "SUBS-009/*",
            "SUBS-010/*",
            "SUBS-012/*",
            "TIME-001/*",
            "TIME-004/*",
            "TIME-005/*",
            "TIME-008/*",
            "ETAG-004/any*",
            "MATRIX-004/post*",
            "MATRIX-005/*",
            "SUBS-002/*PUT",
        ),
    ),
    (_fault("null is refused", f.refuses_if, 400, lambda asked: b"null" in asked.body), ("GEN-014/*",)),
    (
        _fault("what was sent is returned instead of what was stored", f.echoes),
        (
            "GEN-011/unknown*",
            "GEN-011/program*",
            "GEN-013/*texts",
            "GEN-013/*odd types",
            "OBJ-010/duplicate*",
            "OBJ-011/points*",
            "REPORT-002/*",
            "REPORT-009/*",
            "REPORT-011/*",
            "PROG-016/*",
            "VEN-007/*",
            "VEN-018/*",
            "RES-009/*",
            "SUBS-010/*",
        ),
    ),
    (
        _fault("PUT merges instead of replacing", f.merges),
        (
            "GEN-016/put replaces*",
            "PROG-009/*",
            "VEN-011/*",
        ),
    ),
    (
        _fault("PUT does nothing", f.pretends, "PUT"),
        (
            "GEN-016/put replaces*",
            "GEN-016/put moves*",
            "EVT-010/*",
            "VEN-010/*",
            "PRIV-EX-14/*",
            "PRIV-EX-16/*",
            "ETAG-003/no stale object*",
            "ETAG-003/no stale search: PUT",
            "ETAG-003/no stale grant",
            "ETAG-001/tag follows*",
            "EVT-019/*",
            "TIME-016/*",
            "PROG-009/*",
        ),
    ),
    (
        _fault("DELETE does nothing", f.pretends, "DELETE"),
        (
            "OBJ-015/*",
            "PROG-013/*",
            "PROG-012/*",
            "EVT-012/*",
            "VEN-013/*",
            "VEN-014/*",
            "PRIV-EX-15/*",
            "ETAG-003/no stale search: DELETE",
        ),
    ),
    # Statuses
    (
        _fault("reads are refused", f.refuses, 403, _READS),
        (
            "AUTH-001/*",
            "AUTH-012/*",
            "PRIV-005/*",
            "PRIV-EX-09/*",
            "PRIV-003/*",
            "PRIV-016/program*",
            "PROG-009/*",
            "PROG-010/a past*",
            "OBJ-010/an empty*",
            "SUBS-014/*",
            "SUBS-002/*GET",
            "PAGE-031/*",
            "COMPAT-021/*",
            "COMPAT-022/*",
            "GEN-022/*",
            "ETAG-002/modified*",
            "RES-006/*",
            *_rows("business logic", _READ_ROWS),
            *_rows("a ven", _READ_ROWS),
            "MATRIX-001/auth server*",
            "MATRIX-001/topics for*: M33*",
        ),
    ),
    (
        _fault("deletes are refused", f.refuses, 403, ("DELETE",)),
        (
            "VEN-012/*",
            "RES-011/*",
            "MATRIX-004/delete*",
            "SUBS-002/*DELETE",
            "PROG-012/*",
            "EVT-012/*",
            *_rows("business logic", ("M05*", "M10*", "M20*", "M25*", "M30*")),
            *_rows("a ven", ("M15*", "M20*", "M25*", "M30*")),
        ),
    ),
    (
        _fault("writes are refused for the role", f.refuses, 403),
        (
            *_rows("business logic", ("M02*", "M04*", "M07*", "M09*", "M17*", "M19*", "M22*", "M24*", "M27*", "M29*")),
            *_rows("a ven", ("M12*", "M14*", "M17*", "M19*", "M22*", "M24*", "M27*", "M29*")),
        ),
    ),
    (
        _fault("the role does not count", f.status, 403, 200),
        (
            *_rows("business logic", ("M12*", "M14*", "M15*")),
            *_rows("a ven", ("M02*", "M04*", "M05*", "M07*", "M09*", "M10*", "M37*")),
            "MATRIX-001/topics for a ven: M3[789]*",
            "MATRIX-001/topics for a ven: M4[01]*",
            "REPORT-004/*",
            "PROG-014/*DELETE",
            "EVT-014/*DELETE",
            "GEN-009/*role before existence",
            "MATRIX-001/topics without scope*",
        ),
    ),
    (
        _fault("what is not there is 200", f.status, 404, 200),
        (
            "GEN-007/*",
            "OBJ-008/*",
            "MATRIX-002/*",
            "MATRIX-001/another ven: M[012]*",
            "MATRIX-001/another ven: M30*",
            "MATRIX-001/topics for another ven*",
            "RES-016/*",
            "PROG-013/*",
            "OBJ-015/*",
            "VEN-013/*",
            "EVT-012/*",
            "PROG-012/*",
            "REPORT-008/*",
            "VEN-016/*",
            "SUBS-003/*",
            "PRIV-EX-10/*",
            "RES-012/move to*",
            "RES-014/*",
            "EVT-011/*",
            "PRIV-009/*",
            "RES-012/move",
        ),
    ),
    (
        _fault("what is hidden is 403 instead of 404", f.status, 404, 403),
        (
            "MATRIX-001/another ven: *",
            "MATRIX-001/topics for another ven*",
            "PRIV-EX-10/*",
            "REPORT-008/*",
            "VEN-016/*",
            "SUBS-003/*",
            "RES-005/*",
            "RES-012/move to*",
            "RES-015/*",
            "PRIV-018/*",
        ),
    ),
    (_fault("existence decides before the role", f.status, 403, 404), ("GEN-009/*role before existence",)),
    (_fault("an unknown id is 400", f.status, 404, 400), ("OBJ-008/*", "MATRIX-002/*", "GEN-009/existence*")),
    (_fault("an impossible id is 404", f.status, 400, 404), ("OBJ-009/*",)),
    (_fault("an undefined method is 404", f.status, 405, 404), ("GEN-006/*",)),
    (_fault("Allow is missing", f.header, "Allow", None), ("GEN-006/*",)),
    (
        _fault("Allow names methods that are not there", f.header, "Allow", "DELETE, GET, PATCH, POST, PUT"),
        ("GEN-006/*",),
    ),
    (_fault("another content type is 400", f.status, 415, 400), ("GEN-004/other*",)),
    (_fault("a large body is 400", f.status, 413, 400), ("GEN-008/*",)),
    (
        _fault("a refusal is 403 instead of 401", f.status, 401, 403),
        (
            "MATRIX-001/no token*",
            "MATRIX-001/topics without token*",
            "MATRIX-001/bad token*",
            "MATRIX-001/topics with bad token*",
            "AUTH-002/*",
            "AUTH-003/*",
            "AUTH-006/*",
            "AUTH-008/*",
            "GEN-009/*authentication*",
            "TOKEN-001/refusal*",
            "AUTH-005/token in*",
        ),
    ),
    (_fault("bad input is 500", f.status, (400, 404, 413), 500), ("GEN-010/*",)),
    (_fault("bad paging is overlooked", f.forgets, "limit", "skip"), ("PAGE-008/*", "PAGE-001/*", "PAGE-005/*")),
    (
        _fault("an alias prefix is missing", f.status, 200, 404, "GET"),
        ("GEN-001/*", "GEN-022/*", "COMPAT-021/*", "COMPAT-022/*"),
    ),
    (
        _fault("a created object is 200", f.status, 201, 200, "POST"),
        ("MATRIX-005/*", "PROG-001/*", "EVT-001/*", *_rows("business logic", ("M02*",))),
    ),
    (
        _fault("without a broker topics are 200", f.status, 404, 200),
        (
            *(f"MATRIX-001/topics for business logic: M{number}*" for number in range(34, 46)),
            *(f"MATRIX-001/topics for a ven: M{number}*" for number in (34, 35, 36, 42, 43, 44, 45)),
        ),
    ),
    # Who is asking
    (
        _fault("everybody is business logic", f.everybody_is_bl),
        (
            "MATRIX-001/no token*",
            "MATRIX-001/bad token*",
            "MATRIX-001/topics without token*",
            "MATRIX-001/topics with bad token*",
            "AUTH-002/*",
            "AUTH-003/*",
            "AUTH-005/*",
            "AUTH-006/*",
            "AUTH-008/*",
            "PAGE-009/*",
            "EVT-020/*",
            "REPORT-008/*GET",
            "REPORT-012/*",
            "VEN-015/*",
            "VEN-016/*",
            "RES-006/*",
            "RES-013/*",
            "RES-015/*",
            "PRIV-EX-03/*",
            "PRIV-EX-04/*",
            "PRIV-EX-05/*",
            "PRIV-EX-06/*",
            "PRIV-EX-08/*",
            "PRIV-EX-09/*",
            "PRIV-EX-1*",
            "PRIV-004/*",
            "PRIV-009/*",
            "PRIV-011/*",
            "PRIV-013/*",
            "PRIV-016/reports*",
            "PRIV-018/*",
            "PRIV-019/*",
            "PRIV-003/*",
            "SUBS-003/*",
            "SUBS-004/unknown*",
            "ETAG-001/readers*",
            "PROG-014/*",
            "EVT-014/*",
            "RES-005/*",
            "VEN-006/a ven*",
            "RES-008/a ven*",
            "TOKEN-001/refusal*",
            "MATRIX-001/another ven: M03*",
            "MATRIX-001/another ven: M08*",
            *_SEARCH_ROWS,
            "PAGE-027/active for*",
        ),
    ),
    (
        _fault("scopes do not count", f.scopes_do_not_count),
        ("MATRIX-001/wrong scope*", "MATRIX-001/topics without scope*", "AUTH-015/*"),
    ),
    (_fault("the first of two Authorization headers counts", f.one_of_the_headers), ("AUTH-005/two*",)),
    (
        _fault(
            "only Bearer in one spelling counts",
            f.refuses_if,
            401,
            lambda asked: not asked.headers.get("Authorization", "").startswith("Bearer "),
        ),
        ("AUTH-001/*",),
    ),
    (
        _fault("WWW-Authenticate is missing", f.header, "WWW-Authenticate", None),
        (
            "AUTH-002/*",
            "AUTH-003/*",
            "AUTH-006/garbage",
            "AUTH-026/wrong basic*",
            "TOKEN-001/refusal*",
        ),
    ),
    (
        _fault("a refusal never says invalid_token", f.header, "WWW-Authenticate", 'Bearer realm="VTN"'),
        (
            "AUTH-003/*",
            "AUTH-006/garbage",
            "TOKEN-001/refusal of a bad token",
        ),
    ),
    (
        _fault(
            "every refusal says invalid_token",
            f.header,
            "WWW-Authenticate",
            'Bearer realm="VTN", error="invalid_token"',
        ),
        ("TOKEN-001/refusal without token",),
    ),
    (
        _fault("client identifiers are made up", f.objects, _another_client),
        (
            "AUTH-009/one*",
            "REPORT-001/*",
            "REPORT-002/*",
            "REPORT-009/*",
            "VEN-001/*",
            "VEN-002/*",
            "VEN-007/*",
            "VEN-008/form*",
            "VEN-010/*",
            "VEN-011/*",
            "RES-001/*",
            "RES-002/*",
            "RES-006/*",
            "SUBS-001/create: a VEN",
            "SUBS-010/*",
            "RES-017/*",
            "COMPAT-030/client*",
        ),
    ),
    (_fault("all clients are one", f.objects, sets(clientID="everybody")), ("AUTH-009/two*",)),
    (_fault("the clientID is missing", f.objects, drops("clientID")), ("SUBS-001/*",)),
    # Privacy
    (
        _fault("a VEN is shown all targets", f.shows_all_targets),
        (
            "PRIV-EX-03/*",
            "PRIV-EX-04/*",
            "PRIV-EX-06/*",
            "PRIV-EX-09/*",
            "PRIV-EX-14/*",
            "PRIV-013/*",
            "EVT-020/*",
            "ETAG-001/readers*",
        ),
    ),
    (
        _fault("targets are shown to nobody", f.objects, drops("targets")),
        (
            "PRIV-EX-01/*",
            "PRIV-EX-02/*",
            "PRIV-EX-03/*",
            "PRIV-EX-04/*",
            "PRIV-EX-06/*",
            "PRIV-EX-08/*",
            "PRIV-EX-09/*",
            "PRIV-EX-14/*",
            "PRIV-EX-15/*",
            "PRIV-013/*",
            "PRIV-015/*",
            "VEN-002/*",
            "VEN-010/*",
            "VEN-011/*",
            "VEN-019/*",
            "PROG-008/*",
            "RES-002/*",
            "RES-009/*",
            "SUBS-012/*",
            "RES-017/*",
            "VEN-008/form of business*",
        ),
    ),
    (_fault("targets are sorted", f.objects, renames("targets", sorted)), ("PRIV-013/*", "OBJ-010/duplicate*")),
    (
        _fault("targets come out of nowhere", f.objects, sets(targets=["everybody"])),
        (
            "OBJ-010/no targets*",
            "VEN-001/*",
            "VEN-007/*",
            "RES-009/*",
        ),
    ),
    (
        _fault("a search loses its first object", f.lists, lambda found: found[1:]),
        (
            "PRIV-EX-01/*",
            "PRIV-EX-02/*",
            "PRIV-EX-03/*",
            "PRIV-EX-04/*",
            "PRIV-EX-06/*",
            "PRIV-EX-08/*",
            "PRIV-EX-11/*",
            "PRIV-EX-13/*",
            "PRIV-EX-14/*",
            "PRIV-EX-15/*",
            "PAGE-002/*",
            "PAGE-003/*",
            "PAGE-004/*",
            "PAGE-005/*",
            "PAGE-009/*",
            "PAGE-010/*",
            "PAGE-011/*",
            "PAGE-012/*",
            "PAGE-013/*",
            "PAGE-014/*",
            "PAGE-018/*",
            "PAGE-019/*",
            "PAGE-020/*",
            "PAGE-021/*",
            "PAGE-022/subscription*",
            "PAGE-023/*",
            "PAGE-024/*",
            "PAGE-025/*",
            "PAGE-031/*",
            "EVT-013/*",
            "REPORT-012/*",
            "REPORT-015/*",
            "RES-013/*",
            "VEN-015/*",
            "MATRIX-006/*",
            "PRIV-019/*",
            *_rows("business logic", (f"M{number:02}*" for number in (1, 6, 11, 16, 21, 26))),
            *_rows("a ven", (f"M{number:02}*" for number in (1, 6, 11, 16, 21, 26))),
            "COMPAT-024/*",
            "PAGE-027/active for*",
            "PAGE-017/programID of nothing",
        ),
    ),
    (_fault("a targets parameter decides about reads by id", f.obeys_targets_by_id), ("PRIV-011/*",)),
    (
        _fault("hidden objects speak another language", f.errors, lambda body: body | {"detail": f"{next(_ids)}"}),
        (
            "PRIV-EX-10/*",
            "RES-005/*",
            "REPORT-005/*",
        ),
    ),
    # Queries
    (
        _fault("limit is ignored", f.forgets, "limit"),
        ("PAGE-001/*", "PAGE-003/*", "PAGE-005/*", "PAGE-007/*", "PAGE-009/*", "PAGE-008/*limit*"),
    ),
    (
        _fault("skip is ignored", f.forgets, "skip"),
        ("PAGE-001/*", "PAGE-004/*", "PAGE-005/*", "PAGE-006/*", "PAGE-008/*skip*", "PRIV-019/*", "PAGE-010/newest*"),
    ),
    (_fault("a page holds ten", f.lists, lambda found: found[:10]), ("PAGE-002/*",)),
    (_fault("a page is never full", f.lists, lambda found: found[:-1]), ("PAGE-009/*", "PRIV-019/*")),
    (_fault("the oldest come first", f.lists, lambda found: found[::-1]), ("PAGE-002/*", "PAGE-010/*", "PAGE-012/*")),
    (_fault("the latest change comes first", f.lists, _by_modification), ("PAGE-010/an update*",)),
    (
        _fault(
            "filters are ignored",
            f.forgets,
            "programID",
            "eventID",
            "clientName",
            "venName",
            "venID",
            "resourceName",
            "targets",
            "objects",
            "programName",
            "targetValues",
        ),
        (
            "PAGE-011/*",
            "PAGE-013/*",
            "PAGE-016/*",
            "PAGE-017/*",
            "PAGE-018/*",
            "PAGE-019/*",
            "PAGE-020/*",
            "PAGE-021/*",
            "PAGE-022/*",
            "PAGE-023/*",
            "PAGE-024/*",
            "PAGE-025/*",
            "PAGE-026/*",
            "EVT-013/*",
            "REPORT-015/*",
            "PRIV-EX-02/*",
            "PRIV-EX-04/*",
            "PRIV-EX-05/*",
            "PRIV-EX-06/*",
            "PRIV-EX-07/*",
            "PRIV-EX-08/*",
            "PRIV-EX-12/*",
            "COMPAT-024/*",
            "PAGE-012/*",
        ),
    ),
    (_fault("only the first of repeated parameters counts", f.first_of_each), ("PAGE-012/*", "PAGE-015/*")),
    (_fault("a comma separates", f.splits_commas), ("PAGE-013/*",)),
    (_fault("case does not count", f.trims_targets, str.lower), ("PAGE-026/*another case",)),
    (_fault("blanks do not count", f.trims_targets, str.strip), ("PAGE-026/*blank*",)),
    (_fault("unknown parameters are refused", f.refuses_if, 400, lambda asked: asked.given("colour")), ("PAGE-014/*",)),
    (
        _fault("nothing found is 404", f.status, 200, 404, "GET"),
        ("PAGE-006/*", "PAGE-007/*", "PAGE-017/*", "PRIV-EX-05/*", "MATRIX-006/*"),
    ),
    (
        _fault("searches come in an envelope", f.lists, lambda found: {"items": found}),
        ("MATRIX-006/*", "PAGE-006/*", "COMPAT-022/*"),
    ),
    # Active events
    (
        _fault("active is ignored", f.forgets, "active"),
        (
            "PAGE-027/bad*",
            "PAGE-027/*over",
            "PAGE-028/active: over",
            "PAGE-028/*with its random*",
            "PAGE-030/*PT0*",
            "PAGE-030/*empty*",
            "TIME-009/*after*",
            "TIME-010/*short*",
            "TIME-010/*early*",
            "TIME-011/*before*",
            "TIME-012/*after*",
            "TIME-014/*over*",
            "TIME-015/*fifth*",
            "TIME-018/*own*",
            "TIME-018/*was",
            "TIME-019/*past",
            "TIME-022/*short*",
            "TIME-023/*after*",
            "TIME-008/*leap*",
            "TIME-016/*",
            "EVT-019/*",
            "PAGE-027/active for*",
        ),
    ),
    (
        _fault("nothing is active", f.lists, lambda _found: []),
        (
            "PAGE-027/active*",
            "PAGE-028/*",
            "PAGE-029/*",
            "PAGE-030/*",
            "PAGE-031/*",
            "TIME-008/*",
            "TIME-009/*",
            "TIME-010/*",
            "TIME-011/*",
            "TIME-012/*",
            "TIME-013/*",
            "TIME-014/*",
            "TIME-015/*",
            "TIME-017/*",
            "TIME-018/*",
            "TIME-019/*",
            "TIME-021/*",
            "TIME-022/*",
            "TIME-023/*",
            "TIME-035/*",
            "PROG-010/a past*",
        ),
    ),
    (_fault("a search takes six seconds", f.slow, 5.5), ("TIME-025/*",)),
    (_fault("the server randomises", f.objects, _later), ("TIME-028/*",)),
    (
        _fault(
            "times are rewritten",
            f.objects,
            lambda obj: renames("duration", lambda text: f"P0Y{text[1:]}")(
                renames("start", lambda text: text.replace("T", " ").replace("Z", "+00:00") + "0")(obj)
            ),
        ),
        ("TIME-001/*", "TIME-004/*", "TIME-005/*", "PROG-010/a past*", "EVT-019/*", "EVT-016/*"),
    ),
    # Members of answers
    (
        _fault("objectType is missing", f.objects, drops("objectType")),
        (
            "GEN-018/*",
            "PROG-001/*",
            "EVT-001/*",
            "REPORT-001/*",
            "VEN-001/*",
            "VEN-002/*",
            "VEN-009/*",
            "RES-001/*",
            "RES-010/*",
            "SUBS-001/*",
            "MATRIX-006/*",
            "GEN-013/*",
        ),
    ),
    (_fault("objectType is that of the request", f.objects, _as_requested), ("VEN-009/*", "RES-010/*", "GEN-018/*")),
    (_fault("dates are missing", f.objects, drops("modificationDateTime")), ("GEN-018/*", "GEN-019/*")),
    (_fault("dates have a blank", f.text, f.blank_dates), ("GEN-019/*",)),
    (_fault("dates have an offset", f.objects, sets(createdDateTime="2030-01-01T00:00:00+00:00")), ("GEN-019/*",)),
    (
        _fault(
            "a change keeps the date",
            f.objects,
            lambda obj: obj | {"modificationDateTime": obj["createdDateTime"]},
            ("PUT",),
        ),
        ("GEN-016/put moves*",),
    ),
    (
        _fault("a change gives a new creation date", f.objects, sets(createdDateTime="2030-01-01T00:00:00Z"), ("PUT",)),
        ("GEN-016/put replaces*", "OBJ-013/*", "GEN-013/*"),
    ),
    (
        _fault("ids have blanks", f.objects, lambda obj: obj | {"id": f"a b {next(_ids)}"}, _READS),
        ("MATRIX-004/*", "PRIV-EX-01/*"),
    ),
    (_fault("POST gives odd ids", f.objects, sets(id="a b")), ("OBJ-015/*", "AUTH-009/two*")),
    (
        _fault(
            "a member is missing", f.objects, drops("programName", "programID", "clientName", "resourceName", "venName")
        ),
        ("GEN-018/*", "GEN-003/*", "PROG-001/*", "MATRIX-004/*", "EVT-010/move"),
    ),
    (
        _fault("numbers become floats", f.objects, f.numbers_as_floats),
        (
            "GEN-017/values*",
            "GEN-017/report*",
            "EVT-008/*",
            "EVT-009/*",
            "GEN-017/order*",
            "EVT-006/good priority: [01]",
        ),
    ),
    (
        _fault("values become texts", f.objects, renames("values", lambda values: [str(one) for one in values])),
        ("GEN-017/values*", "GEN-017/report*", "EVT-001/*", "EVT-009/*", "OBJ-005/*several*", "VEN-017/*"),
    ),
    (
        _fault("payloads are lost", f.objects, renames("payloads", lambda _payloads: [])),
        ("OBJ-005/*", "EVT-009/*", "EVT-001/*"),
    ),
    (
        _fault("lists are reversed", f.objects, renames("intervals", lambda found: found[::-1])),
        ("GEN-017/order*", "EVT-008/*", "EVT-009/*"),
    ),
    (
        _fault("intervals are lost", f.objects, sets(intervals=[])),
        ("EVT-001/*", "EVT-008/*", "EVT-009/*", "EVT-010/change", "EVT-016/*"),
    ),
    (
        _fault("intervals come out of nowhere", f.objects, sets(intervals=[{"id": 9, "payloads": []}])),
        ("EVT-007/empty*",),
    ),
    (
        _fault("descriptors are lost", f.objects, drops("payloadDescriptors")),
        ("PROG-006/*", "PROG-007/*", "OBJ-004/*payloadType", "OBJ-004/*units", "OBJ-004/*currency", "COMPAT-053/*"),
    ),
    (
        _fault(
            "descriptors are turned round",
            f.objects,
            renames("payloadDescriptors", lambda found: sorted(found, key=str)),
        ),
        ("PROG-007/*",),
    ),
    (
        _fault("descriptors have no type", f.objects, f.loses_descriptor_types),
        ("PROG-006/*", "PROG-007/*", "COMPAT-053/descriptor types*"),
    ),
    (
        _fault("attributes are lost", f.objects, drops("attributes")),
        ("PROG-015/*", "VEN-010/*", "VEN-017/*", "RES-011/*", "OBJ-004/*attribute"),
    ),
    (
        _fault(
            "texts are changed",
            f.text,
            lambda text: re.sub(
                "MY_OWN_TYPE|my own type|GUESSED|FURLONGS|beads|COLOUR|MOOD|a target, with", "OTHER", text
            ),
        ),
        ("OBJ-004/*",),
    ),
    (_fault("texts are cut", f.text, lambda text: re.sub("(x|é|🔌){30,}", "", text)), ("OBJ-002/*",)),
    (
        _fault("a program's period is inherited", f.objects, sets(intervalPeriod={"start": "2030-01-01T00:00:00Z"})),
        ("PROG-010/period*",),
    ),
    (
        _fault("a program's descriptors are copied", f.objects, sets(payloadDescriptors=[{"payloadType": "PRICE"}])),
        ("PROG-011/*",),
    ),
    (_fault("a past program is hidden", f.refuses, 404, _READS), ("PROG-010/a past*",)),
    (
        _fault("programID is always there", f.objects, sets(programID="p")),
        ("SUBS-004/program*", "GEN-011/program*", "EVT-001/*"),
    ),
    (
        _fault("entries are lost", f.objects, sets(objectOperations=[])),
        ("SUBS-001/*", "SUBS-006/*objects", "SUBS-006/*operations", "SUBS-007/operation*", "SUBS-011/*"),
    ),
    (_fault("entries come out of nowhere", f.objects, sets(objectOperations=[{}, {}])), ("SUBS-006/*",)),
    (
        _fault(
            "operations are translated",
            f.text,
            lambda text: text.replace('"CREATE"', '"POST"').replace('"GET"', '"READ"').replace('"PUT"', '"UPDATE"'),
        ),
        ("SUBS-007/operation*", "SUBS-001/*"),
    ),
    (_fault("the bearer token is shown to all", f.everybody_is_bl), ()),
    (
        _fault("the bearer token is shown to nobody", f.objects, renames("bearerToken", lambda _token: None)),
        ("SUBS-011/*", "SUBS-001/*"),
    ),
    (
        _fault(
            "the bearer token is shown to everybody",
            f.objects,
            renames("bearerToken", lambda _token: "secret-of-the-owner"),
        ),
        ("SUBS-011/*",),
    ),
    (
        _fault("the same id again", f.objects, sets(id="always-the-same")),
        ("OBJ-014/never*", "OBJ-008/*", "SUBS-009/*", "REPORT-007/*"),
    ),
    (
        _fault(
            "everything is a new object", f.objects, lambda obj: obj | {"id": f"new-{next(_ids)}"}, ("PUT", "DELETE")
        ),
        ("GEN-016/put replaces*", "MATRIX-004/delete*", "EVT-012/*", "PROG-012/*"),
    ),
    (
        _fault("DELETE tells nothing", f.objects, lambda _obj: {}, ("DELETE",)),
        ("MATRIX-004/delete*", "GEN-018/*", "EVT-012/*", "PROG-012/*"),
    ),
    (
        _fault("POST tells only the id", f.objects, lambda obj: {"id": obj["id"]}, _WRITES),
        (
            "MATRIX-004/post*",
            "GEN-018/*",
            "VEN-011/*",
            "VEN-017/*",
            "RES-011/*",
            "PROG-008/*",
            "EVT-010/*",
            "SUBS-010/*",
            "REPORT-013/*",
            "RES-012/move",
            "REPORT-010/unknown*",
            "COMPAT-030/*",
        ),
    ),
    # Problems
    (
        _fault("errors are pages for people", f.page_of_html),
        ("PROBLEM-001/*", "PROBLEM-002/*", "PROBLEM-003/*", "PROBLEM-004/*", "AUTH-024/*", "AUTH-029/*"),
    ),
    (_fault("errors have no title", f.errors, drops("title")), ("PROBLEM-001/*", "AUTH-029/*")),
    (
        _fault("errors have no detail", f.errors, sets(detail="")),
        (
            "PROBLEM-001/*",
            "PROBLEM-005/*",
            "PROBLEM-007/detail*",
            "EVT-003/*",
            "RES-004/*",
            "REPORT-005/*",
            "SUBS-004/unknown*",
        ),
    ),
    (_fault("status is a text", f.errors, lambda body: body | {"status": str(body["status"])}), ("PROBLEM-002/*",)),
    (
        _fault("status is another", f.errors, lambda body: body | {"status": body["status"] + 1}),
        ("PROBLEM-002/*", "ETAG-004/lost*", "AUTH-029/*"),
    ),
    (_fault("instance is no URI", f.errors, sets(instance="c0ffee")), ("PROBLEM-003/*",)),
    (_fault("type is no URI", f.errors, sets(type="not found")), ("PROBLEM-003/*",)),
    (_fault("errors show the server", f.errors, sets(detail='Traceback: File "x.py", line 3')), ("GEN-010/*",)),
    (_fault("a conflict shows the other object", f.errors, lambda body: body), ()),
    # Tokens
    (_fault("tokenURL is relative", f.objects, sets(tokenURL="/auth/token"), _READS), ("AUTH-018/*",)),
    (_fault("/auth/server is missing", f.status, 200, 404, "GET"), ("AUTH-018/*", "MATRIX-001/auth server*")),
    (_combined("token_type is missing", lambda: _token(f.objects(drops("token_type")))), ("AUTH-020/a token",)),
    (
        _combined("expires_in is a text", lambda: _token(f.objects(sets(expires_in="3600")))),
        ("AUTH-020/a token", "AUTH-034/*"),
    ),
    (_combined("tokens live for a minute", lambda: _token(f.objects(sets(expires_in=60)))), ("AUTH-034/*",)),
    (_combined("a refresh token is given", lambda: _token(f.objects(sets(refresh_token="x")))), ("AUTH-020/a token",)),
    (
        _combined("the scope is not told", lambda: _token(f.objects(drops("scope")))),
        ("AUTH-020/a token", "AUTH-011/*", "AUTH-027/fewer*"),
    ),
    (
        _combined("the token is broken", lambda: _token(f.objects(sets(access_token="broken")))),
        ("AUTH-020/the token*",),
    ),
    (
        _combined("all scopes are given", lambda: _token(f.objects(sets(scope="read_all read_bl write_events")))),
        ("AUTH-027/fewer*",),
    ),
    (
        _combined("a token is given to anybody", lambda: _token(f.status((400, 401), 200))),
        ("AUTH-023/both*", "AUTH-024/*", "AUTH-025/*", "AUTH-026/*", "AUTH-027/scopes*", "AUTH-029/*", "AUTH-030/*"),
    ),
    (
        _combined("every token error is invalid_grant", lambda: _oauth(error="invalid_grant")),
        ("AUTH-023/both*", "AUTH-024/*", "AUTH-025/*", "AUTH-026/*", "AUTH-027/scopes*", "AUTH-030/*"),
    ),
    (
        _combined(
            "token errors tell causes apart", lambda: _token(f.errors(lambda body: body | {"detail": f"{next(_ids)}"}))
        ),
        ("AUTH-026/wrong credentials",),
    ),
    (
        _combined("tokens are refused", lambda: _token(f.status(200, 401))),
        ("AUTH-020/*", "AUTH-023/basic*", "AUTH-032/*", "COMPAT-002/*", "COMPAT-005/*", "COMP-005/*", "AUTH-011/*"),
    ),
    (
        _combined("Basic is not read", lambda: _token(f.without_request_header("Authorization"))),
        ("AUTH-023/basic*", "AUTH-026/wrong basic*", "AUTH-023/both*"),
    ),
    (
        _combined(
            "a bearer header is minded",
            lambda: _token(f.refuses_if(401, lambda asked: "Bearer" in asked.headers.get("Authorization", ""))),
        ),
        ("AUTH-032/*",),
    ),
    (
        _combined(
            "unknown form members are minded",
            lambda: _token(f.refuses_if(400, lambda asked: b"audience" in asked.body)),
        ),
        ("COMPAT-005/*",),
    ),
    (_combined("token answers may be stored", lambda: _token(f.header("Cache-Control", None))), ("TOKEN-001/never*",)),
    (_combined("Pragma is missing", lambda: _token(f.header("Pragma", None))), ("TOKEN-001/never*",)),
    (_combined("token answers are compressed", lambda: _token(f.always_gzip())), ("COMP-005/*",)),
    (_combined("the fifth token request of a burst is refused", lambda: _token(_every_fifth())), ("COMPAT-012/*",)),
    # Caches and coding
    (
        _fault("reads are stale", f.stale),
        (
            "ETAG-003/*",
            "ETAG-001/tag follows*",
            "PRIV-EX-14/*",
            "PRIV-EX-15/*",
            "PRIV-EX-16/*",
            "PRIV-003/*",
            "OBJ-015/*",
            "TIME-016/*",
        ),
    ),
    (_fault("ETag is missing", f.header, "ETag", None), ("ETAG-001/*", "ETAG-002/not*")),
    (_fault("ETag is weak", f.header, "ETag", 'W/"1"'), ("ETAG-001/headers*",)),
    (_fault("ETag is always the same", f.header, "ETag", '"1"'), ("ETAG-001/readers*", "ETAG-001/tag*")),
    (
        _fault("ETag is another each time", f.another_tag_each_time),
        ("ETAG-001/tag*", "ETAG-002/not modified*the tag", "ETAG-002/not modified*list", "ETAG-002/not modified*weak*"),
    ),
    (
        _fault("anybody may cache", f.header, "Cache-Control", "public, max-age=60"),
        ("ETAG-001/headers*", "ETAG-002/not*"),
    ),
    (_fault("Cache-Control is missing", f.header, "Cache-Control", None), ("ETAG-001/headers*", "ETAG-002/not*")),
    (_fault("Vary is missing", f.header, "Vary", None), ("ETAG-001/headers*", "ETAG-002/not*", "COMP-001/*")),
    (_fault("Vary names one header", f.header, "Vary", "Authorization"), ("ETAG-001/headers*", "COMP-001/*")),
    (_fault("If-None-Match is not read", f.without_request_header, "If-None-Match"), ("ETAG-002/not*",)),
    (
        _fault("every conditional read is 304", f.always_not_modified),
        ("ETAG-002/modified*", "ETAG-003/*", "ETAG-001/readers*"),
    ),
    (_fault("If-Match is not read", f.without_request_header, "If-Match"), ("ETAG-004/lost*",)),
    (_fault("If-Match never holds", f.refuses_if, 412, lambda asked: "If-Match" in asked.headers), ("ETAG-004/*",)),
    (_fault("Accept-Encoding is not read", f.without_request_header, "Accept-Encoding"), ("COMP-001/*",)),
    (_fault("everything is compressed", f.always_gzip), ("COMP-002/*", "COMP-001/nothing")),
    # The rest
    (_fault("the connection is closed at the thousandth request", f.hangs_up_after, 1000), ("GEN-021/*",)),
    (_fault("Location is missing", f.header, "Location", None), ("MATRIX-005/*",)),
    (_fault("Location leads elsewhere", f.header, "Location", "/elsewhere"), ("MATRIX-005/*",)),
    (
        _fault("answers are plain text", f.header, "Content-Type", "text/plain"),
        ("GEN-003/*", "PROBLEM-004/*", "AUTH-029/*"),
    ),
    (
        _fault(
            "charset is not understood",
            f.refuses_if,
            415,
            lambda asked: "charset" in asked.headers.get("Content-Type", ""),
        ),
        ("GEN-003/*",),
    ),
    (
        _fault(
            "empty lists are left out", f.objects, lambda obj: {key: value for key, value in obj.items() if value != []}
        ),
        ("COMPAT-045/*",),
    ),
    (_fault("empty members are null", f.objects, sets(attributes=None)), ("COMPAT-046/*",)),
    (
        _fault("members come out of nowhere", f.objects, sets(priority=0, attributes=[])),
        ("COMPAT-047/*", "EVT-006/good priority: 1"),
    ),
    (_fault("priorities are lost", f.objects, drops("priority")), ("EVT-006/good priority: [01]",)),
    (
        _fault("priorities are doubled", f.objects, lambda obj: obj | {"priority": (obj.get("priority") or 0) + 1}),
        ("EVT-006/*",),
    ),
)


def faults_of(key: str) -> list[Fault]:
    """The faults this check has to fail on."""
    return [fault for fault, patterns in TABLE if any(_matches(key, pattern) for pattern in patterns)]


def unused_patterns(keys: Iterable[str]) -> list[str]:
    """Patterns that name no check: the table has to follow the suite."""
    known = list(keys)
    return [
        f"{fault.name}: {pattern}"
        for fault, patterns in TABLE
        for pattern in patterns
        if not any(_matches(key, pattern) for key in known)
    ]


def _matches(key: str, pattern: str) -> bool:
    return fnmatchcase(key, pattern)
