"""Find the object that somebody means by an id, a unique beginning of one, or a name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import typer

from oadr.errors import Exit, Failure
from openadr_profiles.v31 import Metadata, Resource

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from openadr_profiles.contact import Contact

T = TypeVar("T", bound=Metadata)
T_co = TypeVar("T_co", covariant=True)

_SHOWN: Final = 5
_FEW: Final = 20


class _Readable(Protocol[T_co]):
    async def get(self, id_: str) -> T_co: ...


async def find(
    collection: _Readable[T],
    text: str,
    *,
    kind: str,
    every: Callable[[], Awaitable[Iterable[T]]],
    name_of: Callable[[T], str | None] | None = None,
) -> T:
    """Return the object with this id, else the only one with this name, else the only one whose id begins so.

    Raises:
        Failure: none or several (REFUSED); several are named.
    """
    from openadr_client import InvalidRequest, NotFound

    if not text:
        raise Failure(f"give the id of the {kind}, or the beginning of it", Exit.USAGE)
    try:
        return await collection.get(text)
    except (NotFound, InvalidRequest):
        objects = list(await every())
    found = [each for each in objects if name_of is not None and name_of(each) == text]
    found = found or [each for each in objects if text and each.id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(f"there is no {kind} {text!r}", Exit.REFUSED)
    ids = ", ".join(each.id for each in found[:_SHOWN])
    raise Failure(f"{text!r} is the beginning of {len(found)} {kind}s: {ids}; give more of it", Exit.REFUSED)


async def resources_of(client: VtnClient, ven_ids: Collection[str]) -> list[Resource]:
    """Return the resources of vens: of a few they are asked for one by one, else all of the VTN are read."""
    if len(ven_ids) > _FEW:
        return list(await client.resources.search())
    return [each for id_ in ven_ids for each in await client.resources.search(ven_id=id_)]


async def contacts_of(client: VtnClient, client_ids: Sequence[str] | None = None) -> dict[str, Contact] | None:
    """Return contacts by client id, of all clients or of these; None, after saying so, if the VTN tells of none."""
    found = await client.contacts.search(client_ids=client_ids)
    if found is None:
        typer.echo("this VTN does not tell when it last heard of its VENs", err=True)
    return found
