"""Lists that are an extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from openadr_client.errors import NotFound, TemporarilyUnavailable, UnexpectedAnswer
from openadr_client.objects import PAGE_SIZE, Send
from openadr_profiles.v31 import Invalid, decode

T = TypeVar("T")


async def offered(answer: Awaitable[T]) -> T | None:
    """Return an answer, or None if this VTN does not offer it; who may not see it gets Forbidden."""
    try:
        return await answer
    except TemporarilyUnavailable as error:
        if error.status != 501:
            raise
        return None
    except (NotFound, UnexpectedAnswer):  # a VTN that has no such path may answer anything with 200
        return None


async def one_page(send: Send, path: str, type_: type[T], query: Sequence[tuple[str, str]]) -> list[T]:
    """Return one page of a list; raises UnexpectedAnswer if it is none."""
    answer = await send("GET", path, query=query)
    try:
        return decode(answer.body, list[type_])  # type: ignore[valid-type] # a type at run time
    except Invalid as error:
        raise UnexpectedAnswer(f"GET {path} is not what it should be: {error}") from error


async def all_pages(send: Send, path: str, type_: type[T], query: Sequence[tuple[str, str]] = ()) -> list[T]:
    """Return a whole list, page after page; one that gives the same page again has no pages, and ends with it."""
    found: list[T] = []
    before: list[T] = []
    while True:
        place = [("skip", str(len(found))), ("limit", str(PAGE_SIZE))]
        page = await one_page(send, path, type_, [*query, *place])
        if page == before:
            return found
        found += page
        before = page
        if len(page) < PAGE_SIZE:
            return found
