"""The description of OpenADR 3.0.1 at ``/openapi.json`` below its prefix, made of the routes that are served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openadr_profiles import v301
from openadr_profiles.v31.common import ObjectID
from openadr_profiles.v31.vocabulary import ObjectType
from vtn.api.collection import OpenRoute, Route
from vtn.api.openapi import Json, Schemas, component_name, never_null
from vtn.api.openapi_collections import DescribedCollection, collection_operation, document, open_paths, served_at
from vtn.settings import Settings

_PARAMETERS: Final[dict[str, str]] = {
    "skip": "How many objects to leave out at the beginning; the newest come first.",
    "limit": "How many objects to give at most; 50 if not said.",
    "targetType": "Only objects that have a target of this type; with targetValues, one of these values.",
    "targetValues": "Only objects that have one of these targets. Repeat the parameter for several.",
    "programID": "Only what belongs to this program.",
    "eventID": "Only what belongs to this event.",
    "clientName": "Only objects with exactly this client name.",
    "venName": "Only the ven of exactly this name.",
    "resourceName": "Only resources of exactly this name.",
    "objects": "Only subscriptions that name one of these kinds. Repeat the parameter for several.",
}
_TARGETS: Final = {"targetType": str, "targetValues": list[str]}
_RESOURCES: Final = "/vens/{ven_id}/resources"
_COLLECTIONS: Final = {
    "/programs": DescribedCollection(
        v301.ProgramRequest,
        v301.Program,
        "programID",
        _TARGETS,
        ("searchAllPrograms", "createProgram", "searchProgramByProgramId", "updateProgram", "deleteProgram"),
        conflicts=True,
    ),
    "/reports": DescribedCollection(
        v301.ReportRequest,
        v301.Report,
        "reportID",
        {"programID": ObjectID, "eventID": ObjectID, "clientName": str},
        ("searchAllReports", "createReport", "searchReportsByReportID", "updateReport", "deleteReport"),
    ),
    "/events": DescribedCollection(
        v301.EventRequest,
        v301.Event,
        "eventID",
        {"programID": ObjectID, **_TARGETS},
        ("searchAllEvents", "createEvent", "searchEventsByID", "updateEvent", "deleteEvent"),
    ),
    "/subscriptions": DescribedCollection(
        v301.SubscriptionRequest,
        v301.Subscription,
        "subscriptionID",
        {"programID": ObjectID, "clientName": str, **_TARGETS, "objects": list[ObjectType]},
        (
            "searchSubscriptions",
            "createSubscription",
            "searchSubscriptionByID",
            "updateSubscription",
            "deleteSubscription",
        ),
        note="A subscription is told of changes by webhook. Its callback URLs are verified before it is stored.",
    ),
    "/vens": DescribedCollection(
        v301.VenRequest,
        v301.Ven,
        "venID",
        {"venName": str, **_TARGETS},
        ("searchVens", "createVen", "searchVenByID", "updateVen", "deleteVen"),
        conflicts=True,
    ),
    _RESOURCES: DescribedCollection(
        v301.ResourceRequest,
        v301.Resource,
        "resourceID",
        {"resourceName": str, **_TARGETS},
        (
            "searchVenResources",
            "createResource",
            "searchVenResourceByID",
            "updateVenResource",
            "deleteVenResource",
        ),
        conflicts=True,
        above="venID",
    ),
}
"""What is at each path."""
_ANSWERS: Final = {collection.answer.__name__: collection.answer for collection in _COLLECTIONS.values()}


def description(
    routes: Iterable[Route],
    open_routes: Iterable[OpenRoute],
    *,
    version: str,
    prefix: str,
    token_url: str,
    public: bool = False,
) -> Json:
    """Return the whole document for the routes below ``prefix``; raises KeyError for a route that nobody has described.

    ``public`` says that there are programs to be read without a token (COMPAT-017).
    """
    schemas = Schemas(texts=_PARAMETERS, adapt=_adapt_component)
    paths: Json = {}
    for route in routes:
        many = route.path.removesuffix("/{id}")
        collection, one = _COLLECTIONS[many], many != route.path
        name = many.rpartition("/")[2]
        path = many.replace("{ven_id}", "{venID}") + (f"/{{{collection.id_name}}}" if one else "")
        is_public = public and route.permission.or_anonymous
        operation = collection_operation(route, name, collection, schemas, one=one, public=is_public)
        paths.setdefault(path, {})[route.method.lower()] = operation
    paths |= open_paths(open_routes, schemas)
    return document(
        "OpenADR 3.0.1 VTN", version=version, prefix=prefix, token_url=token_url, paths=paths, schemas=schemas
    )


def served(settings: Settings, routes: Iterable[Route], open_routes: Iterable[OpenRoute]) -> Json:
    """Return the document for what a server with these settings serves."""
    return description(routes, open_routes, **served_at(settings, settings.v301.prefixes[0]))


def _adapt_component(type_name: str, schema: Json) -> None:
    """Describe an answer: it says its kind, and leaves out what is absent (GEN-018)."""
    if type_name in _ANSWERS:
        kind = component_name(type_name).upper()
        schema["properties"]["objectType"] = {"type": "string", "const": kind}
        schema["required"] = [*schema["required"], "objectType"]
        never_null(schema["properties"])
