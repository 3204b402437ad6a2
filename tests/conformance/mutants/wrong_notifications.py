"""VTNs that tell wrongly: whom they ask before, what they send, to whom, how often and when."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from mutants import callbacks as c
from mutants import handlers as f
from mutants import republisher as r
from mutants.handlers import Fault, FaultPlace, Obj

_PUBLISHED: Final = partial(Fault, place=FaultPlace.BROKER)
_CALLED: Final = partial(Fault, place=FaultPlace.CALLBACKS)


def _of_object(change: f.Changing) -> f.Changing:
    """Return a change of a notification that changes its object."""
    return lambda value: value | {"object": change(dict(value["object"]))}


def _with_targets(*more: str) -> f.Changing:
    return _of_object(lambda obj: obj | {"targets": [*(obj.get("targets") or []), *more]})


def _snake(value: Obj) -> Obj:
    return {"object_type": value["objectType"], "operation": value["operation"], "object": value["object"]}


def _stub(value: Obj) -> Obj:
    return {key: item for key, item in value.items() if key in {"id", "objectType"}}


def _in_http_words(value: Obj) -> Obj:
    return value | {"operation": {"CREATE": "POST", "UPDATE": "PUT"}.get(value["operation"], "REMOVE")}


def _always(**members: Any) -> f.Changing:
    return lambda value: value | members


NOTIFICATIONS: Final = (
    # Challenges
    _CALLED(
        "no URL is asked whether it wants to be called",
        c.proves_itself,
        "WEBHOOK-00[2346]/*; WEBHOOK-005/[!o]*; WEBHOOK-005/on put; WEBHOOK-007/*; WEBHOOK-027/*",
    ),
    _CALLED("any answer to a challenge will do", c.any_answer_proves, "WEBHOOK-005/*; WEBHOOK-006/*"),
    _CALLED("no answer to a challenge will do", c.no_answer_proves, "WEBHOOK-002/*; WEBHOOK-003/ch*; WEBHOOK-004/*"),
    _CALLED("every challenge is the same", partial(c.challenges, lambda _value: "x" * 24), "WEBHOOK-003/challenges*"),
    _CALLED("challenges can be guessed", partial(c.challenges, lambda value: value[:4]), "WEBHOOK-003/values*"),
    _CALLED("a challenge loses the query of the URL", c.challenges_alone, "WEBHOOK-002/*"),
    _CALLED("redirects are followed", c.follows_redirects, "WEBHOOK-005/redirected*; WEBHOOK-016/redirects"),
    Fault("a refused subscription exists all the same", c.subscribes_anyway, "WEBHOOK-005/bad*"),
    Fault(
        "what a callback answers is shown",
        partial(f.errors, lambda body: body | {"detail": "it answered word-of-another-server"}),
        "WEBHOOK-027/*; WEBHOOK-005/the url*",
    ),
    # What is sent
    _CALLED(
        "notifications get lost",
        c.loses,
        """
        WEBHOOK-008/*; WEBHOOK-009/*; WEBHOOK-01[0-8]/*; WEBHOOK-02[01]/*; WEBHOOK-03[12]/*; SUBS-008/*; SUBS-015/*;
        SUBS-02[0-9]/*; SUBS-014/without*; PRIV-014/*
        """,
    ),
    _CALLED("notifications are PUT", partial(c.calls, "PUT"), "WEBHOOK-008/*"),
    _CALLED("notifications are plain text", partial(c.calls, Content_Type="text/plain"), "WEBHOOK-008/*"),
    _CALLED("notifications are encoded twice", partial(c.tells, json.dumps), "WEBHOOK-008/*; WEBHOOK-009/*"),
    _CALLED("names are in snake case", partial(c.tells, _snake), "WEBHOOK-008/*; WEBHOOK-010/*"),
    _CALLED(
        "the object comes alone", partial(c.tells, lambda value: value["object"]), "WEBHOOK-008/*; WEBHOOK-01[02]/*"
    ),
    _CALLED("words of HTTP are used", partial(c.tells, _in_http_words), "WEBHOOK-011/*; WEBHOOK-008/*DELETE"),
    _CALLED(
        "everything is an update",
        partial(c.tells, _always(operation="UPDATE")),
        "WEBHOOK-008/*CREATE; WEBHOOK-008/*DELETE; SUBS-008/entries; SUBS-026/*",
    ),
    _CALLED("everything is created", partial(c.tells, _always(operation="CREATE")), "WEBHOOK-008/*UPDATE; SUBS-027/*"),
    _CALLED("everything is a thing", partial(c.tells, _always(objectType="THING")), "WEBHOOK-008/*; WEBHOOK-012/*"),
    _CALLED(
        "the object is a stub", partial(c.tells, _of_object(_stub)), "WEBHOOK-012/*; SUBS-023/business logic hears*"
    ),
    _CALLED(
        "dates are missing",
        partial(c.tells, _of_object(lambda obj: {key: obj[key] for key in obj if key != "createdDateTime"})),
        "WEBHOOK-012/*",
    ),
    _CALLED(
        "tokens of callbacks are not sent", partial(c.calls, Authorization=None), "WEBHOOK-015/bearer*; WEBHOOK-007/*"
    ),
    _CALLED("a token of the VTN is sent", partial(c.calls, Authorization="Bearer of-the-vtn"), "WEBHOOK-015/*"),
    _CALLED(
        "targets are shown that were not granted",
        partial(c.tells, _with_targets("hidden")),
        "PRIV-014/*; SUBS-02[67]/*",
    ),
    _CALLED(
        "targets are never shown",
        partial(c.tells, _of_object(lambda obj: {key: obj[key] for key in obj if key != "targets"})),
        "PRIV-014/*; SUBS-023/business logic hears*: program; SUBS-023/business logic hears*: event; SUBS-02[67]/*",
    ),
    _CALLED(
        "removals are told to nobody",
        partial(c.loses, lambda value: value["operation"] == "DELETE"),
        "WEBHOOK-008/*DELETE; WEBHOOK-012/*DELETE; SUBS-008/entries; SUBS-026/*; SUBS-027/*hidden; SUBS-028/*",
    ),
    _CALLED(
        "what goes with a program is told to nobody",
        partial(c.loses, lambda value: value["objectType"] == "EVENT"),
        "SUBS-028/*",
    ),
    # To whom
    Fault(
        "everybody is told of everything",
        c.tells_everybody,
        """
        SUBS-008/*; SUBS-015/*; SUBS-020/*; SUBS-022/of*; SUBS-022/reports*; SUBS-023/o*; SUBS-023/business logic f*;
        SUBS-02[456]/[!g]*; SUBS-014/without*; SUBS-029/*
        """,
    ),
    # How often and when
    _CALLED(
        "everything is sent twice",
        partial(c.repeats, range(200, 500)),
        "WEBHOOK-016/any*; WEBHOOK-020/refused*; WEBHOOK-020/*429; SUBS-021/*; SUBS-008/one*",
    ),
    _CALLED("what fails is sent again at once", partial(c.repeats, range(429, 600)), "WEBHOOK-020/patience*"),
    _CALLED(
        "nothing is sent again",
        partial(c.gives_up, range(400, 600)),
        "WEBHOOK-018/*; WEBHOOK-020/patience*; WEBHOOK-021/in*; WEBHOOK-032/*",
    ),
    _CALLED("notifications overtake each other", c.swaps, "WEBHOOK-021/in*"),
    _CALLED("one slow callback stops all", c.one_at_a_time, "WEBHOOK-021/a slow*"),
    _CALLED("notifications take three seconds", partial(c.dawdles, 2.5), "WEBHOOK-031/*"),
    _CALLED("every attempt has an id of its own", c.numbers_requests, "WEBHOOK-032/*"),
    _CALLED("no notification has an id", partial(c.calls, X_Request_Id=None), "WEBHOOK-032/*"),
    # What is told of the broker
    Fault("there are no webhooks", lambda: f.at("/notifiers", f.objects(_always(WEBHOOK=False))), "MQTT-001/*"),
    Fault(
        "the broker has no address",
        lambda: c.binds(_always(URIS=[])),
        "MQTT-003/*; MQTT-038/*",
    ),
    Fault("messages are in another language", lambda: c.binds(_always(serialization="XML")), "MQTT-003/*"),
    Fault("the broker is reached without TLS", lambda: c.binds(_always(URIS=["mqtt://127.0.0.1:1"])), "MQTT-038/*"),
    Fault(
        "clients prove who they are in an unknown way",
        lambda: c.binds(_always(authentication={"method": "BASIC"})),
        "MQTT-004/*",
    ),
    Fault(
        "the user name is missing",
        lambda: c.binds(_always(authentication={"method": "OAUTH2_BEARER_TOKEN"})),
        "MQTT-004/*",
    ),
    Fault("accounts may be cached", partial(f.header, "Cache-Control", "max-age=60"), "MQTT-005/*"),
    Fault(
        "a topic is missing",
        lambda: c.names_topics(lambda found: {key: found[key] for key in found if key != "DELETE"}),
        "MQTT-008/names*; MQTT-021/*DELETE",
    ),
    Fault(
        "the creation of what exists has a topic",
        lambda: c.names_topics(lambda found: {"CREATE": "things/create"} | found),
        "MQTT-008/names: *} for *; MQTT-008/names: *} of *",
    ),
    Fault(
        "there is no filter for all",
        lambda: c.names_topics(lambda found: {key: found[key] for key in found if key != "ALL"}),
        "MQTT-008/name of*; MQTT-013/*; MQTT-031/*; MQTT-022/*",
    ),
    Fault(
        "other names are told than are published to",
        lambda: c.names_topics(lambda found: {key: f"other/{name}" for key, name in found.items()}),
        "MQTT-021/*; MQTT-013/*",
    ),
    Fault("nobody is at the broker", lambda: c.binds(_always(URIS=["mqtts://127.0.0.1:1"])), "MQTT-028/*"),
    # What is published
    _PUBLISHED("nothing is published", r.silent, "MQTT-021/*; MQTT-013/*; MQTT-02[2-9]/*; MQTT-03[0-3]/*"),
    _PUBLISHED("messages are encoded twice", r.retold(json.dumps), "MQTT-028/*; MQTT-021/*"),
    _PUBLISHED("messages are bare objects", r.retold(lambda value: value["object"]), "MQTT-028/*; MQTT-021/*"),
    _PUBLISHED("messages hold a stub", r.retold(_of_object(_stub)), "MQTT-021/*; MQTT-030/*"),
    _PUBLISHED("messages have no dates", r.retold(_of_object(_always(createdDateTime=None))), "MQTT-030/*; MQTT-021/*"),
    _PUBLISHED("dates have another form", r.retold(_of_object(_always(createdDateTime="today"))), "MQTT-030/*"),
    _PUBLISHED("everything is published as created", r.moved("create"), "MQTT-021/*UPDATE; MQTT-029/*"),
    _PUBLISHED("everything is published as updated", r.moved("update"), "MQTT-021/*CREATE; MQTT-021/*DELETE"),
    _PUBLISHED("all messages are said to be updates", r.retold(_always(operation="UPDATE")), "MQTT-021/*DELETE"),
    _PUBLISHED("messages come at most once", r.resent(qos=0), "MQTT-033/*"),
    _PUBLISHED("messages are kept", r.resent(retain=True), "MQTT-033/*"),
    _PUBLISHED("messages take three seconds", r.late(2.5), "MQTT-029/*"),
    _PUBLISHED(
        "messages show targets that were not granted", r.retold(_with_targets("hidden")), "MQTT-024/*; MQTT-027/*"
    ),
    _PUBLISHED(
        "removals are not published",
        r.kept_back(lambda value: value["operation"] != "DELETE"),
        "MQTT-021/*DELETE; MQTT-027/*hidden",
    ),
    _PUBLISHED("everything is published everywhere", r.everywhere, "MQTT-025/*; MQTT-022/*"),
    Fault("reads are published", c.touches_what_is_read, "MQTT-031/*"),
    # Who is admitted
    Fault("the broker admits everybody", c.opens_a_door, "MQTT-016/*; MQTT-018/*; MQTT-039/*; MQTT-042/*"),
    Fault(
        "all clients share one account",
        lambda: c.binds(
            _always(authentication={"method": "OAUTH2_BEARER_TOKEN", "username": "all", "password": "the same"})
        ),
        "MQTT-044/*",
    ),
)
