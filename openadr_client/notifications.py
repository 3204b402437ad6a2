"""Notifications as they come in, whatever brought them; each way of receiving is a `Receiver`.

A notification is a hint to read again, no more: it may be wrong, doubled, late or forged, and what happened while
nobody listened is told of by none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar, get_args

from openadr_client.errors import UnreadableNotification
from openadr_profiles.v31 import Invalid, decode, encode
from openadr_profiles.v31.subscription import OperationWord, operation_meant

if TYPE_CHECKING:
    from openadr_client.faces import Face
    from openadr_profiles.v31 import Notifiers

T = TypeVar("T")

Way: TypeAlias = Literal["mqtt", "webhook", "websocket"]
"""The ways in which notifications come."""

MAX_NOTIFICATION: Final = 5 * 1024 * 1024
"""Bytes of the longest notification that is read: an object of the 4 MiB that our VTN takes, and what is around it."""
_VERBS: Final = frozenset(get_args(OperationWord))


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """A change of an object, as somebody told of it.

    ``operation`` is CREATE, READ, UPDATE or DELETE, or another word as it came. ``content`` is the object in JSON, with
    the standard's member names; after DELETE as it was. ``id`` is the same for every repeat of one notification, or
    None where the way has no ids (`X-Request-ID` of a webhook).
    """

    operation: str
    object_type: str
    content: Mapping[str, Any] = field(repr=False)
    way: Way
    id: str | None = None
    size: int = field(default=0, repr=False, compare=False)
    """Bytes that came."""

    @property
    def object_id(self) -> str | None:
        """Return the id of the object, or None if there is none in it."""
        found = self.content.get("id")
        return found if isinstance(found, str) else None

    def object_as(self, type_: type[T]) -> T:
        """Return the object as `Event`, `Program` …; raises `openadr_profiles.v31.Invalid` if it is none."""
        return decode(encode(self.content), type_)


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """Something may have happened that no notification tells of: read again what matters (VENCLIENT-010).

    It comes after every connection, since nobody listened before, and in place of notifications that could not be read
    or kept.
    """

    reason: str
    way: Way


Told: TypeAlias = ReceivedNotification | ReadAgain
Tell: TypeAlias = Callable[[Told], None]


class Receiver(Protocol):
    """One way in which notifications come."""

    @property
    def way(self) -> Way: ...

    async def receive(self, tell: Tell, notifiers: Notifiers | None = None, /) -> None:
        """Connect once, say so with `ReadAgain`, and call ``tell`` for all that comes, until the connection ends.

        ``notifiers`` are what the VTN offers; it is asked if they are not given.

        ``tell`` returns at once and raises nothing. Who calls this connects again, with back-off; a receiver that can
        go on where it was (by the id of the last notification) says `ReadAgain` only when that failed.

        Raises:
            ClientError: there is no connection, or it has ended.
        """


def read_notification(
    data: bytes | str, *, way: Way, id_: str | None = None, face: Face | None = None
) -> ReceivedNotification:
    """Read a notification in any of the forms that are in use (VENCLIENT-018, R-34).

    Besides the standard's: encoded twice, with ``object_type`` for ``objectType`` and the like, HTTP words for
    operations, blanks in timestamps. An object without anything around it is an UPDATE of that object. ``face`` is the
    version of OpenADR 3 in which it was asked for; without it, 3.1.

    Raises:
        UnreadableNotification: it is too long, nested too deeply, not JSON, or no object with an id is in it.
    """
    try:
        return _read(data, way, id_, face)
    except RecursionError:  # the JSON is read in C, and goes deeper than we can
        raise UnreadableNotification("a notification that is nested too deeply") from None


def _read(data: bytes | str, way: Way, id_: str | None, face: Face | None) -> ReceivedNotification:
    if len(data) > MAX_NOTIFICATION:
        raise UnreadableNotification(f"a notification of {len(data)} bytes; at most {MAX_NOTIFICATION} are read")
    document = _standard_names(_document(data))
    content = document.get("object")
    if isinstance(content, str):
        content = _standard_names(_document(content))
    word = document.get("operation")
    if content is None and isinstance(document.get("id"), str) and word is None:
        document, content, word = {}, document, "UPDATE"
    if not isinstance(content, dict) or not isinstance(content.get("id"), str):
        raise UnreadableNotification("a notification without `object`, or whose object has no id")
    if not isinstance(word, str):
        raise UnreadableNotification("a notification whose `operation` is not a word")
    kind = document.get("objectType") or content.get("objectType")
    kind = kind if isinstance(kind, str) else ""
    return ReceivedNotification(
        operation=_meant(word.upper()),
        object_type=kind,
        content=content if face is None else face.content(content, kind),
        way=way,
        id=id_,
        size=len(data),
    )


def _document(data: bytes | str) -> Any:
    """Return the JSON document, also if it was encoded twice."""
    try:
        document = decode(data, Any)
        return decode(document, Any) if isinstance(document, str) else document
    except Invalid as error:
        raise UnreadableNotification(f"a notification that is not JSON: {error}") from None


def _meant(word: str) -> str:
    return operation_meant(word) if word in _VERBS else word  # type: ignore[arg-type] # just looked for


def _standard_names(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UnreadableNotification(f"a notification that is a {type(document).__name__}, not an object")
    return {(standard := _standard_name(name)): _value(standard, value) for name, value in document.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _standard_names(value)
    if isinstance(value, list):
        return [_value("", each) for each in value]
    if isinstance(value, str) and name.endswith("DateTime"):
        return value.replace(" ", "T", 1)
    return value


def _standard_name(name: str) -> str:
    """Return ``programID`` for ``program_id``, ``objectType`` for ``object_type``; other names as they are."""
    first, *others = name.split("_")
    if not first or not others:
        return name
    return first + "".join("ID" if part == "id" else part[:1].upper() + part[1:] for part in others)
