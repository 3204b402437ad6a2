"""The versions of OpenADR 3 that a VTN may speak (V301-047). All that differs between them on the wire is known here.

Everywhere else objects are those of OpenADR 3.1; `openadr_client.v301` translates for a VTN that speaks 3.0.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from openadr_client.objects import (
    Collections,
    Events,
    Filters,
    Programs,
    Reports,
    ResourceGroups,
    Resources,
    Send,
    Subscriptions,
    Vens,
)
from openadr_client.settings import ApiVersion
from openadr_profiles.v31 import (
    Event,
    Program,
    Report,
    Resource,
    ResourceGroup,
    Subscription,
    Ven,
    decode,
    decode_event,
    encode,
)

if TYPE_CHECKING:
    from openadr_client.clock import Clock

T = TypeVar("T")

_SEGMENT: Final = re.compile(r"v?3\.(\d+)(?:\.\d+)?", re.ASCII | re.IGNORECASE)


class Face:
    """OpenADR 3.1 as it is on the wire, and what other versions do otherwise."""

    version: ClassVar[ApiVersion] = "3.1"
    names_token_server: ClassVar[bool] = True
    """There is ``GET /auth/server``."""
    names_notifiers: ClassVar[bool] = True
    """There is ``GET /notifiers``."""
    names_owners: ClassVar[bool] = True
    """Collections say whose they are (``clientID``), and a VEN is shown no others'."""
    subscribes_by_program: ClassVar[bool] = False
    """A subscription is for one program."""

    def objects(self, send: Send, clock: Clock) -> Collections:
        """Return the collections of a VTN; ``clock`` tells which events are over where the VTN does not."""
        del clock
        return Collections(
            programs=Programs(send, "/programs", Program, self),
            events=Events(send, "/events", Event, self),
            reports=Reports(send, "/reports", Report, self),
            vens=Vens(send, "/vens", Ven, self),
            resources=Resources(send, "/resources", Resource, self),
            subscriptions=Subscriptions(send, "/subscriptions", Subscription, self),
            resource_groups=ResourceGroups(send, "/resource_groups", ResourceGroup, self),
        )

    def read(self, document: bytes | memoryview, type_: type[T]) -> T:
        """Return the object in a document; raises Invalid, naming the member."""
        return decode(document, type_)

    def read_event(self, document: bytes | memoryview) -> Event:
        """Return the event in a document, as `decode_event` does; raises Invalid, naming the member."""
        return decode_event(document)

    def write(self, request: object) -> bytes:
        """Return the document of a request."""
        return encode(request)

    def query(self, filters: Filters) -> Filters:
        """Return the parameters that ask for the same."""
        return filters

    def content(self, content: Mapping[str, Any], object_type: str) -> Mapping[str, Any]:
        """Return the object of a notification with the members of OpenADR 3.1."""
        del object_type
        return content


FACE_31: Final = Face()


def version_in(url: str) -> ApiVersion:
    """Return the version that a URL names in the last segment of its path that is one; 3.1 if there is none."""
    try:
        path = urlsplit(url).path
    except ValueError:  # no URL at all, which the first request says
        return "3.1"
    for segment in reversed(path.split("/")):
        if (found := _SEGMENT.fullmatch(segment)) is not None:
            return "3.0.1" if found[1] == "0" else "3.1"
    return "3.1"


def face_of(url: str, version: ApiVersion | None = None) -> Face:
    """Return what is spoken at a URL: the given version, or else that which the URL names."""
    if (version or version_in(url)) == "3.1":
        return FACE_31
    from openadr_client.v301 import FACE_301  # noqa: PLC0415 # most VTNs need none of it

    return FACE_301
