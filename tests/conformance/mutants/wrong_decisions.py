"""VTNs that decide wrongly: what is accepted, who may do and see what, what a search finds."""

from __future__ import annotations

from functools import partial
from typing import Final

from mutants import handlers as f
from mutants.handlers import Fault, drops, renames, sets

DECISIONS: Final = (
    # Bodies
    Fault(
        "a wrong body is accepted",
        f.accepts,
        """
        GEN-005/*; GEN-015/required*; OBJ-001/*; OBJ-003/*; OBJ-007/unl*; OBJ-011/broken*; OBJ-012/*; OBJ-002/*;
        OBJ-014/one of many*; GEN-004/other*; GEN-008/*; GEN-017/no numbers*;
        GEN-009/order of checks: authentication before the body; GEN-009/order of checks: role before the body;
        GEN-009/body before uniqueness; GEN-015/nothing*; PROG-002/*; PROG-005/*; PROG-014/*POST; EVT-003/*;
        EVT-004/*; EVT-006/bad*; EVT-007/incomplete*; EVT-014/*POST; EVT-015/*; EVT-017/*; REPORT-003/*;
        REPORT-005/*; REPORT-010/incomplete*; VEN-003/*; VEN-004/*; VEN-006/*; VEN-008/unknown form; RES-003/*;
        RES-004/*; RES-005/*; RES-008/*; RES-015/*; PRIV-016/reports*; SUBS-004/unknown*; SUBS-005/*;
        SUBS-007/other*; SUBS-016/*; WEBHOOK-001/*; WEBHOOK-005/nobody*;
        WEBHOOK-023/*; WEBHOOK-025/*; TIME-002/*; TIME-006/*; TIME-007/*; AUTH-015/*;
        MATRIX-001/wrong scope*POST*; MATRIX-001/no token: * POST *; MATRIX-001/bad token: * POST *
        """,
    ),
    Fault(
        "a wrong body is accepted by PUT",
        partial(f.accepts, "PUT"),
        """
        GEN-005/*; GEN-015/required*; OBJ-001/*; OBJ-003/*; OBJ-007/unl*; OBJ-011/broken*; OBJ-012/*; PROG-003/rename*;
        WEBHOOK-001/*; WEBHOOK-005/on put; PROG-014/*PUT;
        EVT-010/move; EVT-011/*; EVT-014/*PUT; REPORT-003/*; REPORT-008/*PUT;
        REPORT-013/*;
        VEN-005/*; VEN-016/*PUT; RES-003/*; RES-012/*; RES-014/*; SUBS-003/*PUT*; PRIV-018/*; MATRIX-002/*PUT*;
        GEN-009/*existence*; GEN-009/*authentication before existence; GEN-009/*role before existence
        """,
    ),
    Fault(
        "a refused PUT or DELETE happens all the same",
        f.does_it_anyway,
        """
        GEN-005/*; GEN-015/required*; OBJ-001/*; OBJ-003/*; OBJ-007/unl*; OBJ-011/broken*; OBJ-012/*; PROG-003/rename*;
        REPORT-008/*PUT; REPORT-008/*DELETE;
        PROG-014/*PUT; PROG-014/*DELETE; EVT-010/move; EVT-014/*PUT; EVT-014/*DELETE; VEN-005/*; VEN-016/*PUT;
        VEN-016/*DELETE; SUBS-003/*PUT*; SUBS-003/*DELETE*; PRIV-018/*; ETAG-004/lost update*;
        MATRIX-001/no token: * PUT *; MATRIX-001/no token: * DELETE *; MATRIX-001/bad token: * PUT *;
        MATRIX-001/bad token: * DELETE *; MATRIX-001/wrong scope: * PUT *; MATRIX-001/wrong scope: * DELETE *;
        MATRIX-001/another ven: * PUT *; MATRIX-001/another ven: * DELETE *
        """,
    ),
    Fault("a refused POST creates something", f.creates_anyway, "GEN-015/nothing*"),
    Fault(
        "a good write is refused",
        f.refuses,
        """
        GEN-003/*; GEN-004/no*; GEN-011/*; GEN-013/*; GEN-014/*; GEN-016/*; GEN-017/values*; OBJ-002/*; OBJ-004/*;
        OBJ-007/long*;
        OBJ-005/*; OBJ-010/duplicate*; OBJ-011/points*; OBJ-013/*; OBJ-014/never*; PROG-001/*; PROG-003/keep*;
        PROG-004/*; PROG-006/*; PROG-007/*; PROG-008/*; PROG-009/*; PROG-011/*; PROG-015/*; PROG-016/*; EVT-001/*;
        EVT-002/*; EVT-005/*; EVT-006/good*; EVT-007/empty*; EVT-008/*; EVT-010/*; EVT-016/*; EVT-019/*;
        REPORT-001/*; REPORT-002/*; REPORT-006/*; REPORT-007/*; REPORT-009/*; REPORT-010/unknown*; REPORT-011/*;
        REPORT-013/*; VEN-001/*; VEN-002/*; VEN-007/*; VEN-008/form*; VEN-010/*; VEN-011/*; VEN-014/*; VEN-017/*;
        VEN-018/*; RES-001/*; RES-002/*; RES-003/*; RES-006/*; RES-009/*; RES-011/*; RES-012/move; RES-017/*;
        COMPAT-030/*; COMPAT-053/*; SUBS-001/*; SUBS-004/program*; SUBS-006/*; SUBS-007/operation*; SUBS-009/*;
        SUBS-010/*; SUBS-012/*; TIME-001/*; TIME-004/*; TIME-005/*; TIME-008/*; ETAG-004/any*; MATRIX-004/post*;
        MATRIX-005/*; SUBS-002/*PUT
        """,
    ),
    Fault("null is refused", partial(f.refuses_if, 400, lambda asked: b"null" in asked.body), "GEN-014/*"),
    Fault(
        "what was sent is returned instead of what was stored",
        f.echoes,
        """
        GEN-011/unknown*; GEN-011/program*; GEN-013/*texts; GEN-013/*odd types; OBJ-010/duplicate*; OBJ-011/points*;
        REPORT-002/*; REPORT-009/*; REPORT-011/*; PROG-016/*; VEN-007/*; VEN-018/*; RES-009/*; SUBS-010/*
        """,
    ),
    Fault("PUT merges instead of replacing", f.merges, "GEN-016/put replaces*; PROG-009/*; VEN-011/*"),
    Fault(
        "PUT does nothing",
        partial(f.pretends, "PUT"),
        """
        GEN-016/put replaces*; GEN-016/put moves*; EVT-010/*; VEN-010/*; PRIV-EX-14/*; PRIV-EX-16/*;
        ETAG-003/no stale object*; ETAG-003/no stale search: PUT; ETAG-003/no stale grant; ETAG-001/tag follows*;
        EVT-019/*; TIME-016/*; PROG-009/*
        """,
    ),
    Fault(
        "DELETE does nothing",
        partial(f.pretends, "DELETE"),
        """
        OBJ-015/*; PROG-013/*; PROG-012/*; EVT-012/*; VEN-013/*; VEN-014/*; PRIV-EX-15/*;
        ETAG-003/no stale search: DELETE
        """,
    ),
    # Statuses
    Fault(
        "reads are refused",
        partial(f.refuses, 403, f.READS),
        """
        AUTH-001/*; AUTH-012/*; PRIV-005/*; PRIV-EX-09/*; PRIV-003/*; PRIV-016/program*; PROG-009/*;
        PROG-010/a past*; OBJ-010/an empty*; SUBS-014/stays*; SUBS-002/*GET; PAGE-031/*; COMPAT-021/*; COMPAT-022/*;
        GEN-022/*; ETAG-002/modified*; RES-006/*; MATRIX-001/business logic: * GET *; MATRIX-001/a ven: * GET *;
        MATRIX-001/auth server*; MATRIX-001/topics for*: M33*
        """,
    ),
    Fault(
        "deletes are refused",
        partial(f.refuses, 403, ("DELETE",)),
        """
        VEN-012/*; RES-011/*; MATRIX-004/delete*; SUBS-002/*DELETE; PROG-012/*; EVT-012/*;
        MATRIX-001/business logic: * DELETE /[pesv]*; MATRIX-001/business logic: * DELETE /res*;
        MATRIX-001/a ven: * DELETE /[rsv]*
        """,
    ),
    Fault(
        "writes are refused for the role",
        partial(f.refuses, 403),
        """
        MATRIX-001/business logic: * P* /[pesv]*; MATRIX-001/business logic: * P* /res*;
        MATRIX-001/a ven: * P* /[rsv]*
        """,
    ),
    Fault(
        "the role does not count",
        partial(f.status, 403, 200),
        """
        MATRIX-001/business logic: * P* /rep*; MATRIX-001/business logic: * DELETE /rep*;
        MATRIX-001/another ven: * PUT /[pe]*; MATRIX-001/another ven: * DELETE /[pe]*;
        MATRIX-001/a ven: * P* /[pe]*; MATRIX-001/a ven: * DELETE /[pe]*; MATRIX-001/topics for a ven: M3[789]*;
        MATRIX-001/topics for a ven: M4[01]*; REPORT-004/*; PROG-014/*DELETE; EVT-014/*DELETE;
        GEN-009/*role before existence; MATRIX-001/topics without scope*
        """,
    ),
    Fault(
        "what is not there is 200",
        partial(f.status, 404, 200),
        """
        GEN-007/*; OBJ-008/*; MATRIX-002/*; MATRIX-001/another ven: * GET *; MATRIX-001/another ven: * /[rsv]*;
        MATRIX-001/topics for another ven*; RES-016/*; PROG-013/*; OBJ-015/*; VEN-013/*; EVT-012/*; PROG-012/*;
        REPORT-008/*; VEN-016/*; SUBS-003/*; PRIV-EX-10/*; RES-012/move to*; RES-014/*; EVT-011/*; PRIV-009/*;
        MQTT-009/unknown*; RES-012/move
        """,
    ),
    Fault(
        "what is hidden is 403 instead of 404",
        partial(f.status, 404, 403),
        """
        MATRIX-001/another ven: * GET *; MATRIX-001/another ven: * /[rsv]*; MATRIX-001/topics for another ven*;
        PRIV-EX-10/*; REPORT-008/*; VEN-016/*; SUBS-003/*; RES-005/*; RES-012/move to*; RES-015/*; PRIV-018/*
        """,
    ),
    Fault("existence decides before the role", partial(f.status, 403, 404), "GEN-009/*role before existence"),
    Fault(
        "an unknown id is 400",
        partial(f.status, 404, 400),
        """
        OBJ-008/*; MATRIX-002/*; GEN-009/*existence before the body*
        """,
    ),
    Fault("an impossible id is 404", partial(f.status, 400, 404), "OBJ-009/*; MQTT-009/malformed*"),
    Fault("an undefined method is 404", partial(f.status, 405, 404), "GEN-006/*"),
    Fault("Allow is missing", partial(f.header, "Allow", None), "GEN-006/*"),
    Fault(
        "Allow names methods that are not there",
        partial(f.header, "Allow", "DELETE, GET, PATCH, POST, PUT"),
        "GEN-006/*",
    ),
    Fault("another content type is 400", partial(f.status, 415, 400), "GEN-004/other*"),
    Fault("a large body is 400", partial(f.status, 413, 400), "GEN-008/*"),
    Fault(
        "a refusal is 403 instead of 401",
        partial(f.status, 401, 403),
        """
        MATRIX-001/no token*; MATRIX-001/topics without token*; MATRIX-001/bad token*;
        MATRIX-001/topics with bad token*; AUTH-002/*; AUTH-003/*; AUTH-006/*; AUTH-008/*; GEN-009/*authentication*;
        TOKEN-001/refusal*; AUTH-005/token in*
        """,
    ),
    Fault("bad input is 500", partial(f.status, (400, 404, 413), 500), "GEN-010/*: [!S]*"),
    Fault("bad paging is overlooked", partial(f.forgets, "limit", "skip"), "PAGE-008/*; PAGE-001/*; PAGE-005/*"),
    Fault(
        "an alias prefix is missing",
        partial(f.status, 200, 404, "GET"),
        "GEN-001/*; GEN-022/*; COMPAT-021/*; COMPAT-022/*",
    ),
    Fault(
        "a created object is 200",
        partial(f.status, 201, 200, "POST"),
        """
        MATRIX-005/*; PROG-001/*; EVT-001/*; MATRIX-001/business logic: M02*
        """,
    ),
    Fault(
        "asking for topics breaks the server",
        lambda: f.at("/notifiers/mqtt", f.status((200, 404), 500)),
        """
        MATRIX-001/topics for business logic: M3[4-9]*; MATRIX-001/topics for business logic: M4*;
        MATRIX-001/topics for a ven: M3[456]*; MATRIX-001/topics for a ven: M4[2-5]*
        """,
    ),
    # Who is asking
    Fault(
        "everybody is business logic",
        f.everybody_is_bl,
        """
        MATRIX-001/no token*; MATRIX-001/bad token*; MATRIX-001/topics without token*;
        MATRIX-001/topics with bad token*; AUTH-002/*; AUTH-003/*; AUTH-005/*; AUTH-006/*; AUTH-008/*; PAGE-009/*;
        EVT-020/*; REPORT-008/*GET; REPORT-012/*; VEN-015/*; VEN-016/*; RES-006/*; RES-013/*; RES-015/*;
        PRIV-EX-03/*; PRIV-EX-04/*; PRIV-EX-05/*; PRIV-EX-06/*; PRIV-EX-09/*; PRIV-EX-1*; PRIV-004/*; PRIV-009/*;
        PRIV-011/*; PRIV-013/*; PRIV-016/reports*; PRIV-018/*; PRIV-019/*; PRIV-003/*; SUBS-003/*;
        SUBS-004/unknown*; ETAG-001/readers*; AUTH-039/*; PROG-014/*; EVT-014/*; RES-005/*; VEN-006/a ven*;
        RES-008/a ven*;
        TOKEN-001/refusal*; MATRIX-001/another ven: M03*; MATRIX-001/another ven: M08*;
        MATRIX-001/another ven searches*; PAGE-027/active for*
        """,
    ),
    Fault(
        "scopes do not count",
        f.scopes_do_not_count,
        """
        MATRIX-001/wrong scope*; MATRIX-001/topics without scope*; AUTH-015/*
        """,
    ),
    Fault("the first of two Authorization headers counts", f.one_of_the_headers, "AUTH-005/two*"),
    Fault(
        "only Bearer in one spelling counts",
        partial(f.refuses_if, 401, lambda asked: not asked.headers.get("Authorization", "").startswith("Bearer ")),
        "AUTH-001/*",
    ),
    Fault(
        "WWW-Authenticate is missing",
        partial(f.header, "WWW-Authenticate", None),
        """
        AUTH-002/*; AUTH-003/*; AUTH-006/garbage; AUTH-026/wrong basic*; TOKEN-001/refusal*
        """,
    ),
    Fault(
        "a refusal never says invalid_token",
        partial(f.header, "WWW-Authenticate", 'Bearer realm="VTN"'),
        """
        AUTH-003/*; AUTH-006/garbage; TOKEN-001/refusal of a bad token
        """,
    ),
    Fault(
        "every refusal says invalid_token",
        partial(f.header, "WWW-Authenticate", 'Bearer realm="VTN", error="invalid_token"'),
        "TOKEN-001/refusal without token",
    ),
    Fault(
        "client identifiers are made up",
        partial(f.objects, f.another_client),
        """
        AUTH-009/one*; REPORT-001/create; REPORT-002/*; REPORT-009/*; VEN-001/*; VEN-002/*; VEN-007/*; VEN-008/form*;
        VEN-010/*; VEN-011/*; RES-001/*; RES-002/*; RES-006/*; SUBS-001/create: a VEN; SUBS-010/*; RES-017/*;
        COMPAT-030/client*
        """,
    ),
    Fault("all clients are one", partial(f.objects, sets(clientID="everybody")), "AUTH-009/two*"),
    Fault("the clientID is missing", partial(f.objects, drops("clientID")), "SUBS-001/*"),
    # Privacy
    Fault(
        "a VEN is shown all targets",
        f.shows_all_targets,
        """
        PRIV-EX-03/*; PRIV-EX-04/*; PRIV-EX-06/*; PRIV-EX-09/*; PRIV-EX-14/*; PRIV-013/*; EVT-020/*
        """,
    ),
    Fault(
        "targets are shown to nobody",
        partial(f.objects, drops("targets")),
        """
        PRIV-EX-01/*; PRIV-EX-02/*; PRIV-EX-03/*; PRIV-EX-04/*; PRIV-EX-06/*; PRIV-EX-08/*; PRIV-EX-09/*;
        PRIV-EX-14/*; PRIV-EX-15/*; PRIV-013/*; PRIV-015/*; VEN-002/*; VEN-010/*; VEN-011/*; VEN-019/*; PROG-008/*;
        RES-002/*; RES-009/*; SUBS-012/*; RES-017/*; VEN-008/form of business*
        """,
    ),
    Fault("targets are sorted", partial(f.objects, renames("targets", sorted)), "PRIV-013/*; OBJ-010/duplicate*"),
    Fault(
        "targets come out of nowhere",
        partial(f.objects, sets(targets=["everybody"])),
        "OBJ-010/no targets*; VEN-001/*; VEN-007/*; RES-009/*",
    ),
    Fault(
        "a search loses its first object",
        partial(f.lists, lambda found: found[1:]),
        """
        PRIV-EX-01/*; PRIV-EX-02/*; PRIV-EX-03/*; PRIV-EX-04/*; PRIV-EX-06/*; PRIV-EX-08/*; PRIV-EX-11/*;
        PRIV-EX-13/*; PRIV-EX-14/*; PRIV-EX-15/*; PAGE-002/*; PAGE-003/*; PAGE-004/*; PAGE-005/*; PAGE-009/*;
        PAGE-010/*; PAGE-011/*; PAGE-012/*; PAGE-014/*; PAGE-018/*; PAGE-019/*; PAGE-020/*; PAGE-021/*;
        PAGE-022/subscription*; PAGE-023/*; PAGE-024/*; PAGE-025/*; PAGE-031/*; EVT-013/*; REPORT-012/*;
        REPORT-015/*; RES-013/*; VEN-015/*; MATRIX-006/*; PRIV-019/*; MATRIX-001/business logic: * GET *s;
        MATRIX-001/a ven: * GET *s; COMPAT-024/*; PAGE-027/active for*
        """,
    ),
    Fault("a targets parameter decides about reads by id", f.obeys_targets_by_id, "PRIV-011/*"),
    Fault(
        "hidden objects speak another language",
        partial(f.errors, lambda body: body | {"detail": f"{f.another_number()}"}),
        "PRIV-EX-10/*; RES-005/*; REPORT-005/*",
    ),
    # Queries
    Fault(
        "limit is ignored",
        partial(f.forgets, "limit"),
        """
        PAGE-001/*; PAGE-003/*; PAGE-005/*; PAGE-007/*; PAGE-009/*; PAGE-008/*limit*
        """,
    ),
    Fault(
        "skip is ignored",
        partial(f.forgets, "skip"),
        """
        PAGE-001/*; PAGE-004/*; PAGE-005/*; PAGE-006/*; PAGE-008/*skip*; PRIV-019/*; PAGE-010/newest*
        """,
    ),
    Fault("a page holds ten", partial(f.lists, lambda found: found[:10]), "PAGE-002/*"),
    Fault("a page is never full", partial(f.lists, lambda found: found[:-1]), "PAGE-009/*; PRIV-019/*"),
    Fault("the oldest come first", partial(f.lists, lambda found: found[::-1]), "PAGE-002/*; PAGE-010/*; PAGE-012/*"),
    Fault("the latest change comes first", partial(f.lists, f.by_modification), "PAGE-010/an update*"),
    Fault(
        "filters are ignored",
        partial(
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
        """
        PAGE-011/*; PAGE-013/*; PAGE-016/*; PAGE-017/*; PAGE-018/*; PAGE-019/*; PAGE-020/*; PAGE-021/*; PAGE-022/*;
        PAGE-023/*; PAGE-024/*; PAGE-025/*; PAGE-026/*; EVT-013/*; REPORT-015/*; PRIV-EX-02/*; PRIV-EX-04/*;
        PRIV-EX-05/*; PRIV-EX-06/*; PRIV-EX-07/*; PRIV-EX-08/*; PRIV-EX-12/*; COMPAT-024/*; PAGE-012/*
        """,
    ),
    Fault("only the first of repeated parameters counts", f.first_of_each, "PAGE-012/*; PAGE-015/*"),
    Fault("a comma separates", f.splits_commas, "PAGE-013/*"),
    Fault("case does not count", partial(f.trims_targets, str.lower), "PAGE-026/*another case"),
    Fault("blanks do not count", partial(f.trims_targets, str.strip), "PAGE-026/*blank*"),
    Fault(
        "unknown parameters are refused", partial(f.refuses_if, 400, lambda asked: asked.given("colour")), "PAGE-014/*"
    ),
    Fault(
        "nothing found is 404",
        partial(f.status, 200, 404, "GET"),
        """
        PAGE-006/*; PAGE-007/*; PAGE-017/*; PRIV-EX-05/*; MATRIX-006/*
        """,
    ),
    Fault(
        "searches come in an envelope",
        partial(f.lists, lambda found: {"items": found}),
        "MATRIX-006/*; PAGE-006/*; COMPAT-022/*",
    ),
    # Active events
    Fault(
        "active is ignored",
        partial(f.forgets, "active"),
        """
        PAGE-027/bad*; PAGE-027/*over; PAGE-028/active: over; PAGE-028/*with its random*; PAGE-030/*PT0*;
        PAGE-030/*empty*; TIME-009/*after*; TIME-010/*short*; TIME-010/*early*; TIME-011/*before*; TIME-012/*after*;
        TIME-014/*over*; TIME-015/*fifth*; TIME-018/*own*; TIME-018/*was; TIME-019/*past; TIME-022/*short*;
        TIME-023/*after*; TIME-008/*leap*; TIME-016/*; EVT-019/*; PAGE-027/active for*;
        PAGE-027/over in time
        """,
    ),
    Fault(
        "nothing is active",
        partial(f.lists, lambda _found: []),
        """
        PAGE-027/active*; PAGE-027/over in time; PAGE-028/*; PAGE-029/*; PAGE-030/*; PAGE-031/*; TIME-008/*;
        TIME-009/*; TIME-010/*;
        TIME-011/*; TIME-012/*; TIME-013/*; TIME-014/*; TIME-015/*; TIME-017/*; TIME-018/*; TIME-019/*; TIME-021/*;
        TIME-022/*; TIME-023/*; TIME-035/*; PROG-010/a past*
        """,
    ),
    Fault("a search takes six seconds", partial(f.slow, 5.5, "GET"), "TIME-025/*"),
    Fault("a write takes three seconds", partial(f.slow, 2.5, "POST"), "GEN-020/*"),
    Fault("a quote in a name breaks the server", partial(f.refuses, 500, f.READS), "GEN-010/*SQL in a filter"),
    Fault("the server randomises", partial(f.objects, f.later), "TIME-028/*"),
    Fault(
        "times are rewritten",
        partial(
            f.objects,
            lambda obj: renames("duration", lambda text: f"P0Y{text[1:]}")(
                renames("start", lambda text: text.replace("T", " ").replace("Z", "+00:00") + "0")(obj)
            ),
        ),
        """
        TIME-001/*; TIME-004/*; TIME-005/*; PROG-010/a past*; EVT-019/*; EVT-016/*
        """,
    ),
)
