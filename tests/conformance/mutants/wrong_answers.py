"""VTNs that answer wrongly: members, error bodies, tokens, caches, headers."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from mutants import handlers as f
from mutants.handlers import Fault, drops, renames, sets
from mutants.proxy import Handler, ProxiedAnswer, ProxiedRequest


def _token(handler: Handler) -> Handler:
    """The fault at the token endpoint only."""

    async def handle(asked: ProxiedRequest, upstream: Any) -> ProxiedAnswer:
        return await (handler(asked, upstream) if asked.path.endswith("/auth/token") else upstream.send(asked))

    return handle


def _oauth(**members: Any) -> Handler:
    return _token(f.errors(sets(**members)))


def _every_fifth() -> Handler:
    count = iter(range(1, 10**9))
    return f.refuses_if(429, lambda _asked: next(count) % 5 == 0)


ANSWERS: Final = (
    # Members of answers
    Fault(
        "objectType is missing",
        partial(f.objects, drops("objectType")),
        """
        GEN-018/*; PROG-001/*; EVT-001/*; REPORT-001/create; VEN-001/*; VEN-002/*; VEN-009/*; RES-001/*; RES-010/*;
        SUBS-001/*; MATRIX-006/*; GEN-013/*
        """,
    ),
    Fault("objectType is that of the request", partial(f.objects, f.as_requested), "VEN-009/*; RES-010/*; GEN-018/*"),
    Fault("dates are missing", partial(f.objects, drops("modificationDateTime")), "GEN-018/*; GEN-019/*"),
    Fault("dates have a blank", partial(f.text, f.blank_dates), "GEN-019/*"),
    Fault("dates have an offset", partial(f.objects, sets(createdDateTime="2030-01-01T00:00:00+00:00")), "GEN-019/*"),
    Fault(
        "a change keeps the date",
        partial(f.objects, lambda obj: obj | {"modificationDateTime": obj["createdDateTime"]}, ("PUT",)),
        "GEN-016/put moves*",
    ),
    Fault(
        "a change gives a new creation date",
        partial(f.objects, sets(createdDateTime="2030-01-01T00:00:00Z"), ("PUT",)),
        "GEN-016/put replaces*; OBJ-013/*; GEN-013/*",
    ),
    Fault(
        "ids have blanks",
        partial(f.objects, lambda obj: obj | {"id": f"a b {f.another_number()}"}, f.READS),
        "MATRIX-004/*; PRIV-EX-01/*",
    ),
    Fault("POST gives odd ids", partial(f.objects, sets(id="a b")), "OBJ-015/*"),
    Fault(
        "a member is missing",
        partial(f.objects, drops("programName", "programID", "clientName", "resourceName", "venName", "eventName")),
        """
        GEN-018/*; GEN-003/*; PROG-001/*; MATRIX-004/post*; EVT-010/move
        """,
    ),
    Fault(
        "numbers become floats",
        partial(f.objects, f.numbers_as_floats),
        """
        GEN-017/values*whole*; GEN-017/values*mixture; GEN-017/report*;
        EVT-008/*; EVT-009/*; GEN-017/order*; EVT-006/good priority: [01]
        """,
    ),
    Fault(
        "values become texts",
        partial(f.objects, renames("values", lambda values: [str(one) for one in values])),
        """
        GEN-017/values*number*; GEN-017/values*truth*; GEN-017/values*points; GEN-017/values*mixture;
        GEN-017/report*; EVT-001/*; EVT-009/*; OBJ-005/*several*; VEN-017/*
        """,
    ),
    Fault(
        "payloads are lost",
        partial(f.objects, renames("payloads", lambda _payloads: [])),
        "OBJ-005/*; EVT-009/*; EVT-001/*",
    ),
    Fault(
        "lists are reversed",
        partial(f.objects, renames("intervals", lambda found: found[::-1])),
        "GEN-017/order*; EVT-008/*; EVT-009/*",
    ),
    Fault(
        "intervals are lost",
        partial(f.objects, sets(intervals=[])),
        "EVT-001/*; EVT-008/*; EVT-009/*; EVT-010/change; EVT-016/*",
    ),
    Fault(
        "intervals come out of nowhere",
        partial(f.objects, sets(intervals=[{"id": 9, "payloads": []}])),
        "EVT-007/empty*",
    ),
    Fault(
        "descriptors are lost",
        partial(f.objects, drops("payloadDescriptors")),
        """
        PROG-006/*; PROG-007/*; OBJ-004/*payloadType; OBJ-004/*units; OBJ-004/*currency; COMPAT-053/*
        """,
    ),
    Fault(
        "descriptors are turned round",
        partial(f.objects, renames("payloadDescriptors", lambda found: sorted(found, key=str))),
        "PROG-007/*",
    ),
    Fault(
        "descriptors have no type",
        partial(f.objects, f.loses_descriptor_types),
        "PROG-006/*; PROG-007/*; COMPAT-053/descriptor types*",
    ),
    Fault(
        "attributes are lost",
        partial(f.objects, drops("attributes")),
        """
        PROG-015/*; VEN-010/*; VEN-017/*; RES-011/*; OBJ-004/*attribute
        """,
    ),
    Fault(
        "texts are changed",
        partial(
            f.text,
            lambda text: re.sub(
                "MY_OWN_TYPE|my own type|GUESSED|FURLONGS|beads|COLOUR|MOOD|a target, with", "OTHER", text
            ),
        ),
        "OBJ-004/*",
    ),
    Fault("texts are cut", partial(f.text, lambda text: re.sub("(x|é|🔌){30,}", "", text)), "OBJ-002/*; OBJ-007/long*"),
    Fault(
        "a program's period is inherited",
        partial(f.objects, sets(intervalPeriod={"start": "2030-01-01T00:00:00Z"})),
        "PROG-010/period*",
    ),
    Fault(
        "a program's descriptors are copied",
        partial(f.objects, sets(payloadDescriptors=[{"payloadType": "PRICE"}])),
        "PROG-011/*",
    ),
    Fault("a past program is hidden", partial(f.refuses, 404, f.READS), "PROG-010/a past*"),
    Fault(
        "programID is always there",
        partial(f.objects, sets(programID="p")),
        "SUBS-004/program*; GEN-011/program*; EVT-001/*",
    ),
    Fault(
        "entries are lost",
        partial(f.objects, sets(objectOperations=[])),
        """
        SUBS-001/*; SUBS-006/*objects; SUBS-006/*operations; SUBS-007/operation*; SUBS-011/*
        """,
    ),
    Fault("entries come out of nowhere", partial(f.objects, sets(objectOperations=[{}, {}])), "SUBS-006/*"),
    Fault(
        "operations are translated",
        partial(
            f.text,
            lambda text: text.replace('"CREATE"', '"POST"').replace('"GET"', '"READ"').replace('"PUT"', '"UPDATE"'),
        ),
        "SUBS-007/operation words: [CHb]*",
    ),
    Fault(
        "the bearer token is shown to nobody",
        partial(f.objects, renames("bearerToken", lambda _token: None)),
        "SUBS-011/*; SUBS-001/*",
    ),
    Fault(
        "the bearer token is shown to everybody",
        partial(f.objects, renames("bearerToken", lambda _token: "secret-of-the-owner")),
        "SUBS-011/*",
    ),
    Fault("the same id again", partial(f.objects, sets(id="always-the-same")), "OBJ-008/*; SUBS-009/*"),
    Fault(
        "everything is a new object",
        partial(f.objects, lambda obj: obj | {"id": f"new-{f.another_number()}"}, ("PUT", "DELETE")),
        """
        GEN-016/put replaces*; MATRIX-004/delete*; EVT-012/*; PROG-012/*
        """,
    ),
    Fault(
        "DELETE tells nothing",
        partial(f.objects, lambda _obj: {}, ("DELETE",)),
        "MATRIX-004/delete*; GEN-018/*; EVT-012/*; PROG-012/*",
    ),
    Fault(
        "POST tells only the id",
        partial(f.objects, lambda obj: {"id": obj["id"]}, f.WRITES),
        """
        MATRIX-004/post*; GEN-018/*; VEN-011/*; VEN-017/*; RES-011/*; PROG-008/*; EVT-010/*; SUBS-010/*;
        REPORT-013/*; RES-012/move; REPORT-010/unknown*; COMPAT-030/*
        """,
    ),
    # Problems
    Fault(
        "errors are pages for people",
        f.page_of_html,
        """
        PROBLEM-001/*; PROBLEM-002/*; PROBLEM-003/*; PROBLEM-004/*; AUTH-024/*; AUTH-029/*
        """,
    ),
    Fault("errors have no title", partial(f.errors, drops("title")), "PROBLEM-001/*; AUTH-029/*"),
    Fault(
        "errors have no detail",
        partial(f.errors, sets(detail="")),
        """
        PROBLEM-001/*; PROBLEM-005/*; PROBLEM-007/detail*; EVT-003/*; RES-004/*; REPORT-005/*; SUBS-004/unknown*
        """,
    ),
    Fault("status is a text", partial(f.errors, lambda body: body | {"status": str(body["status"])}), "PROBLEM-002/*"),
    Fault(
        "status is another",
        partial(f.errors, lambda body: body | {"status": body["status"] + 1}),
        "PROBLEM-002/*; ETAG-004/lost*; AUTH-029/*",
    ),
    Fault("instance is no URI", partial(f.errors, sets(instance="c0ffee")), "PROBLEM-003/*"),
    Fault("type is no URI", partial(f.errors, sets(type="not found")), "PROBLEM-003/*"),
    Fault(
        "errors show the server", partial(f.errors, sets(detail='Traceback: File "x.py", line 3')), "GEN-010/*: [!S]*"
    ),
    Fault("a conflict shows the other object", f.shows_what_clashes, "PROBLEM-007/conflict*"),
    # Tokens
    Fault("tokenURL is relative", partial(f.objects, sets(tokenURL="/auth/token"), f.READS), "AUTH-018/*"),
    Fault("/auth/server is missing", partial(f.status, 200, 404, "GET"), "AUTH-018/*; MATRIX-001/auth server*"),
    Fault("token_type is missing", lambda: _token(f.objects(drops("token_type"))), "AUTH-020/a token"),
    Fault("expires_in is a text", lambda: _token(f.objects(sets(expires_in="3600"))), "AUTH-020/a token; AUTH-034/*"),
    Fault("tokens live for a month", lambda: _token(f.objects(sets(expires_in=2_592_000))), "AUTH-034/*"),
    Fault("tokens live for a minute", lambda: _token(f.objects(sets(expires_in=60))), "AUTH-034/*"),
    Fault("a refresh token is given", lambda: _token(f.objects(sets(refresh_token="x"))), "AUTH-020/a token"),
    Fault(
        "the scope is not told",
        lambda: _token(f.objects(drops("scope"))),
        "AUTH-020/a token; AUTH-011/*; AUTH-027/fewer*",
    ),
    Fault("the token is broken", lambda: _token(f.objects(sets(access_token="broken"))), "AUTH-020/the token*"),
    Fault(
        "all scopes are given",
        lambda: _token(f.objects(sets(scope="read_all read_bl write_events"))),
        "AUTH-027/fewer*",
    ),
    Fault(
        "a token is given to anybody",
        lambda: _token(f.status((400, 401), 200)),
        """
        AUTH-023/both*; AUTH-024/*; AUTH-025/*; AUTH-026/*; AUTH-027/scopes*; AUTH-029/*; AUTH-030/*
        """,
    ),
    Fault(
        "every token error is invalid_grant",
        lambda: _oauth(error="invalid_grant"),
        """
        AUTH-023/both*; AUTH-024/*; AUTH-025/*; AUTH-026/*; AUTH-027/scopes*; AUTH-030/*
        """,
    ),
    Fault(
        "token errors tell causes apart",
        lambda: _token(f.errors(lambda body: body | {"detail": f"{f.another_number()}"})),
        "AUTH-026/wrong credentials",
    ),
    Fault(
        "tokens are refused",
        lambda: _token(f.status(200, 401)),
        """
        AUTH-020/*; AUTH-023/basic*; AUTH-032/*; COMPAT-002/*; COMPAT-005/*; COMP-005/*; AUTH-011/*
        """,
    ),
    Fault(
        "Basic is not read",
        lambda: _token(f.without_request_header("Authorization")),
        "AUTH-023/basic*; AUTH-026/wrong basic*; AUTH-023/both*",
    ),
    Fault(
        "a bearer header is minded",
        lambda: _token(f.refuses_if(401, lambda asked: "Bearer" in asked.headers.get("Authorization", ""))),
        "AUTH-032/*",
    ),
    Fault(
        "unknown form members are minded",
        lambda: _token(f.refuses_if(400, lambda asked: b"audience" in asked.body)),
        "COMPAT-005/*",
    ),
    Fault("token answers may be stored", lambda: _token(f.header("Cache-Control", None)), "TOKEN-001/never*"),
    Fault("Pragma is missing", lambda: _token(f.header("Pragma", None)), "TOKEN-001/never*"),
    Fault("token answers are compressed", lambda: _token(f.always_gzip()), "COMP-005/*"),
    Fault("the fifth token request of a burst is refused", lambda: _token(_every_fifth()), "COMPAT-012/*"),
    # Caches and coding
    Fault(
        "reads are stale",
        f.stale,
        """
        ETAG-003/*; ETAG-001/tag follows*; PRIV-EX-14/*; PRIV-EX-15/*; PRIV-EX-16/*; PRIV-003/*; OBJ-015/*;
        TIME-016/*
        """,
    ),
    Fault("ETag is missing", partial(f.header, "ETag", None), "ETAG-001/*; ETAG-002/not*"),
    Fault("ETag is weak", partial(f.header, "ETag", 'W/"1"'), "ETAG-001/headers*"),
    Fault("ETag is always the same", partial(f.header, "ETag", '"1"'), "ETAG-001/readers*; ETAG-001/tag*"),
    Fault(
        "ETag is another each time",
        f.another_tag_each_time,
        """
        ETAG-001/tag*; ETAG-002/not modified*the tag; ETAG-002/not modified*list; ETAG-002/not modified*weak*
        """,
    ),
    Fault(
        "anybody may cache",
        partial(f.header, "Cache-Control", "public, max-age=60"),
        "ETAG-001/headers*; ETAG-002/not*",
    ),
    Fault("Cache-Control is missing", partial(f.header, "Cache-Control", None), "ETAG-001/headers*; ETAG-002/not*"),
    Fault("Vary is missing", partial(f.header, "Vary", None), "ETAG-001/headers*; ETAG-002/not*; COMP-001/*"),
    Fault("Vary names one header", partial(f.header, "Vary", "Authorization"), "ETAG-001/headers*; COMP-001/*"),
    Fault("If-None-Match is not read", partial(f.without_request_header, "If-None-Match"), "ETAG-002/not*"),
    Fault("every conditional read is 304", f.always_not_modified, "ETAG-002/modified*; ETAG-003/*; ETAG-001/readers*"),
    Fault("If-Match is not read", partial(f.without_request_header, "If-Match"), "ETAG-004/lost*"),
    Fault("If-Match never holds", partial(f.refuses_if, 412, lambda asked: "If-Match" in asked.headers), "ETAG-004/*"),
    Fault("Accept-Encoding is not read", partial(f.without_request_header, "Accept-Encoding"), "COMP-001/*"),
    Fault("everything is compressed", f.always_gzip, "COMP-002/*"),
    # The rest
    Fault("the connection is closed at the thousandth request", partial(f.hangs_up_after, 1000), "GEN-021/*"),
    Fault("Location is missing", partial(f.header, "Location", None), "MATRIX-005/*"),
    Fault("Location leads elsewhere", partial(f.header, "Location", "/elsewhere"), "MATRIX-005/*"),
    Fault(
        "answers are plain text",
        partial(f.header, "Content-Type", "text/plain"),
        "GEN-003/*; PROBLEM-004/*; AUTH-029/*",
    ),
    Fault(
        "charset is not understood",
        partial(f.refuses_if, 415, lambda asked: "charset" in asked.headers.get("Content-Type", "")),
        "GEN-003/*",
    ),
    Fault(
        "empty lists are left out",
        partial(f.objects, lambda obj: {key: value for key, value in obj.items() if value != []}),
        "COMPAT-045/*",
    ),
    Fault("empty members are null", partial(f.objects, sets(attributes=None)), "COMPAT-046/*"),
    Fault(
        "members come out of nowhere",
        partial(f.objects, sets(priority=0, attributes=[])),
        "COMPAT-047/*; EVT-006/good priority: 1",
    ),
    Fault("priorities are lost", partial(f.objects, drops("priority")), "EVT-006/good priority: [01]"),
    Fault(
        "priorities are doubled",
        partial(f.objects, lambda obj: obj | {"priority": (obj.get("priority") or 0) + 1}),
        "EVT-006/good*",
    ),
)
