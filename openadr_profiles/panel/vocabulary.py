"""The words of the panel contract: operations and outcomes, in their canonical spelling."""

from __future__ import annotations

from enum import StrEnum


class Op(StrEnum):
    """Operations of commands. On the wire each dialect has its own words for them."""

    SHED_PANEL = "shedPanel"
    RESTORE_PANEL = "restorePanel"
    PING = "ping"
    SHED_LOAD = "shedLoad"
    SET_LOAD = "setLoad"
    SET = "set"
    SET_CONFIG = "setConfig"
    GET = "get"
    ENABLE = "enable"
    DISABLE = "disable"


class AckStatus(StrEnum):
    """Outcomes of a command as the panel acknowledged it, in canonical form for every dialect."""

    ACCEPTED = "accepted"
    SUCCESS = "success"
    REJECTED = "rejected"
    FAILED = "failed"
    COMPLETED = "completed"
    UNKNOWN = "unknown"


class CommandState(StrEnum):
    """States of a command, from the outbox to its answer."""

    QUEUED = "queued"
    SENT = "sent"
    ACKED = "acked"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    SUPERSEDED = "superseded"


_OPS = {op.value.lower(): op.value for op in Op} | {"event": Op.SHED_PANEL.value, "restore": Op.RESTORE_PANEL.value}

SHED_OPS = frozenset({Op.SHED_PANEL.value, Op.SHED_LOAD.value})


def canonical_op(text: str) -> str:
    """Return the canonical name of an operation in any case and dialect; an unknown one in lower case (rule R3)."""
    word = text.strip().lower()
    return _OPS.get(word, word)
