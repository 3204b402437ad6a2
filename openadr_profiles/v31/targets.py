"""Object privacy as set arithmetic (PRIV-005 … PRIV-013). The server knows which targets a client holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def effective(granted: Collection[str], asked: Collection[str] | None) -> frozenset[str]:
    """Return the targets in effect for one request: all granted ones, or those of them that were asked for."""
    return frozenset(granted) if asked is None else frozenset(granted) & frozenset(asked)


def admits(object_targets: Collection[str], granted: Collection[str], asked: Collection[str] | None) -> bool:
    """Return True if a VEN may see a program or event.

    Untargeted objects are everybody's unless targets were asked for (PRIV-005, PRIV-007); targeted ones need one target
    in common with the effective ones (PRIV-006, PRIV-012).
    """
    if not object_targets:
        return asked is None
    return not effective(granted, asked).isdisjoint(object_targets)


def visible_targets(
    object_targets: Iterable[str], granted: Collection[str], asked: Collection[str] | None
) -> tuple[str, ...]:
    """Return the object's targets that a VEN may see, in their order (PRIV-013)."""
    shown = effective(granted, asked)
    return tuple(target for target in object_targets if target in shown)
