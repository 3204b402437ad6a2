"""A VEN: decides on events, curtails circuits, measures, reports. ``ven.decide`` marks a rule of one's own."""

import typing

if typing.TYPE_CHECKING:
    from ven.decision.own import decide

__all__ = ["decide"]


def __getattr__(name: str) -> object:
    """Import ``decide`` when it is asked for: whoever imports a part of the VEN need not wait for all of its rules."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not importlib.import_module, which `python -X importtime` does not see.
    value = getattr(__import__(f"{__name__}.decision.own", fromlist=(name,)), name)
    globals()[name] = value
    return typing.cast(object, value)
