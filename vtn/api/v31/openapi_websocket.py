"""The description of the websocket, as far as OpenAPI can tell of one."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from openadr_profiles.v31 import ObjectType
from openadr_profiles.v31.common import ObjectID, Target
from vtn.api.collection import Route
from vtn.api.openapi import Json, Schemas, problems, security
from vtn.store.outbox.rows import OBJECT_TYPES

_KINDS: Final = tuple(str(kind) for kind in ObjectType if kind in OBJECT_TYPES)
_PARAMETERS: Final = {
    "objects": list[Literal[_KINDS]],  # type: ignore[valid-type]  # mypy knows no computed kinds
    "operations": list[Literal["CREATE", "UPDATE", "DELETE"]],
    "programID": ObjectID,
    "targets": list[Target],
    "after": Annotated[str, Meta(pattern=r"^[0-9]{1,18}-[0-9]{1,12}$")],
}
_TEXTS: Final = {
    "objects": "Only changes of these kinds of objects. Repeat the parameter for several.",
    "operations": "Only these operations. Repeat the parameter for several.",
    "programID": "Of events and reports, only those that belong to this program.",
    "targets": "Only changes of objects that have one of these targets. Repeat the parameter for several.",
    "after": "The `resume` of the last message of an earlier connection: go on from there.",
}
_WORDS: Final = (
    "An extension: not part of the OpenADR standard. Each message of the websocket is a notification with its `id` "
    "beside `objectType`, `operation`, `object` and `targets`, and with `resume`, or, without these, one with a "
    "`status`: OPEN first, ALIVE now and then. `missed` of OPEN says that something may have happened that no message "
    "tells of. Clients send no messages."
)


def describe(route: Route, schemas: Schemas) -> tuple[str, Json]:
    """Describe the request that opens it."""
    opened: Json = {"101": {"description": "The connection is a websocket now."}}
    return route.path, {
        "x-extension": True,
        "tags": ["notifiers"],
        "operationId": "listenToNotifications",
        "summary": "Open a websocket that tells of changes of what the caller may see.",
        "description": _WORDS,
        "security": security(route.permission),
        "parameters": [
            schemas.parameter(name, type_) | {"description": _TEXTS[name]} for name, type_ in _PARAMETERS.items()
        ],
        "responses": opened | problems({400, 401, 403, 426, 429, 431, 500, 503}, schemas),
    }
