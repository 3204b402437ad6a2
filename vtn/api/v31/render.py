"""Objects as OpenADR 3.1 JSON: metadata first, then the members as they were stored, then the targets.

The stored members are 3.1 already, so an answer is put together from texts and nothing is decoded or encoded again. The
ETag of an answer is that of these bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from openadr_profiles.v31 import ObjectType, encode
from vtn.store.outbox.rows import OBJECT_TYPES
from vtn.store.rows import GroupRow, ObjectRow, SubscriptionRow


class Renderer:
    """Writes the objects of one kind. ``kind`` is the word for it in ``objectType``."""

    version = "3.1"
    form = "1"
    """Part of the ETag of very large pages, which are not read for it; changes with the way objects are written."""

    def __init__(self, kind: str) -> None:
        self._kind = str(kind)  # an enumeration is slow to write

    def one(self, row: ObjectRow) -> bytes:
        """Return one object."""
        return self._texts((row,))[0].encode()

    def page(self, rows: Iterable[ObjectRow]) -> bytes:
        """Return objects as one list; a page is large, so it is not copied more often than it must be."""
        texts = self._texts(rows)
        if not texts:
            return b"[]"
        texts[0] = "[" + texts[0]
        texts[-1] += "]"
        return ",".join(texts).encode()

    def _texts(self, rows: Iterable[ObjectRow]) -> list[str]:
        kind, texts = self._kind, []
        endings: dict[tuple[str, ...] | None, str] = {None: "}"}  # most objects of a page have the same targets
        for row in rows:
            ending = endings.get(row.targets)
            if ending is None:
                ending = endings[row.targets] = f',"targets":{encode(row.targets).decode()}}}'
            texts.append(
                f'{{"id":"{row.id}","createdDateTime":"{row.created_at}","modificationDateTime":"{row.modified_at}"'
                f',"objectType":"{kind}",{row.members}{ending}'
            )
        return texts


class GroupRenderer(Renderer):
    """Writes resource groups, with their children after the other members (COMPAT-088)."""

    def _texts(self, rows: Iterable[ObjectRow]) -> list[str]:
        return super()._texts(map(_with_children, rows))


class SubscriptionRenderer(Renderer):
    """Writes subscriptions: bearer tokens for the owner, ``null`` for others where there are any (SUBS-011)."""

    def _texts(self, rows: Iterable[ObjectRow]) -> list[str]:
        rows = list(rows)
        return [with_tokens(row, text) for row, text in zip(rows, super()._texts(rows), strict=True)]


def notification_renderers() -> Mapping[str, Callable[[ObjectRow], bytes]]:
    """Return what writes one object, for each type of object that anybody is told of."""
    return {
        kind: (SubscriptionRenderer if kind == ObjectType.SUBSCRIPTION else Renderer)(kind).one for kind in OBJECT_TYPES
    }


def _with_children(row: ObjectRow) -> ObjectRow:
    if not isinstance(row, GroupRow):
        return row
    children = ",".join(f'{{"type":"{type_}","id":"{child_id}"}}' for type_, child_id in row.children)
    return msgspec.structs.replace(row, members=f'{row.members},"children":[{children}]')


def with_tokens(row: ObjectRow, text: str) -> str:
    """Return the text of a subscription with the bearer tokens that its reader may see (SUBS-011)."""
    if not isinstance(row, SubscriptionRow) or (row.bearer_tokens is None and not row.hides_tokens):
        return text
    subscription: dict[str, Any] = msgspec.json.decode(text)
    entries = subscription["objectOperations"]
    if row.bearer_tokens is None:
        for entry in entries:
            entry["bearerToken"] = None
    else:
        for entry, token in zip(entries, row.bearer_tokens, strict=True):
            if token is not None:
                entry["bearerToken"] = token
    return encode(subscription).decode()
