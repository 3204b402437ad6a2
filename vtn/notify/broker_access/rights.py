"""Say who may read which topics of the MQTT broker, and who may publish: the one rule behind every way of enforcing it.

A VEN reads what is public and what is its own, business logic reads everything, and neither publishes; this server
publishes and reads nothing (MQTT-016, MQTT-017). What is asked for must be within the rights as a whole: a filter with
wildcards never gets a part of what it names (MQTT-018, MQTT-019).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vtn.access import READ_EVERYTHING, READ_OWNED, READ_TARGETED, Caller
from vtn.notify.topics import everything, of_everybody, of_one_ven


@dataclass(frozen=True, slots=True)
class Rights:
    """Filters of MQTT: topics that somebody may read, and topics that it may publish to."""

    reads: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()

    def may_subscribe(self, topic_filter: str) -> bool:
        """Return True if every topic that a filter names may be read.

        Shared subscriptions (``$share/…``) are refused: a VEN in a group with another one would take messages from it.
        """
        return any(_covers(right, topic_filter) for right in self.reads)

    def may_read(self, topic: str) -> bool:
        """Return True if a message of this topic may be delivered."""
        return _is_topic(topic) and any(_covers(right, topic) for right in self.reads)

    def may_publish(self, topic: str) -> bool:
        """Return True if a message may be published to this topic."""
        return _is_topic(topic) and any(_covers(right, topic) for right in self.publishes)


NONE = Rights()
"""The rights of somebody who has no account any more."""


class Extent(StrEnum):
    """Say how much a client may read, by its role and scopes: as much as it may over HTTP."""

    EVERYTHING = "EVERYTHING"
    OWN = "OWN"
    PUBLIC = "PUBLIC"
    NOTHING = "NOTHING"


def reads_of(caller: Caller) -> Extent:
    """Return how much a client may read. The topics of a ven have objects in them that need different scopes."""
    scopes = caller.scopes
    if caller.sees_everything:
        return Extent.NOTHING if READ_EVERYTHING.scopes.isdisjoint(scopes) else Extent.EVERYTHING
    if READ_TARGETED.scopes.isdisjoint(scopes):
        return Extent.NOTHING
    return Extent.PUBLIC if READ_OWNED.scopes.isdisjoint(scopes) else Extent.OWN


def of_ven(prefix: str, ven_id: str | None) -> Rights:
    """Return the rights of a VEN below a prefix of topics; without a ven it reads what is public only."""
    own = () if ven_id is None else (of_one_ven(prefix, ven_id),)
    return Rights(reads=(of_everybody(prefix), *own))


def of_business_logic(prefix: str) -> Rights:
    """Return the rights of business logic."""
    return Rights(reads=(everything(prefix),))


def of_this_server(prefix: str) -> Rights:
    """Return the rights of the VTN itself."""
    return Rights(publishes=(everything(prefix),))


def _is_topic(text: str) -> bool:
    return bool(text) and not {"+", "#", "\0"} & set(text)


def _covers(right: str, asked: str) -> bool:
    """Return True if a right, a filter that ends in ``#``, covers all topics that the filter asked for names.

    ``a/#`` covers ``a`` too, as MQTT has it. A filter that breaks the rules of MQTT is not covered by anything.
    """
    base = right.removesuffix("#")
    levels = asked.split("/")
    well_formed = (
        "\0" not in asked
        and all(level in {"+", "#"} or not {"+", "#"} & set(level) for level in levels)
        and "#" not in levels[:-1]
    )
    return well_formed and bool(asked) and not asked.startswith("$") and f"{asked}/".startswith(base)
