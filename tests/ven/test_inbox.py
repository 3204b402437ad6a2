from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31 import Event
from tests.ven.builders import START, shed_event
from ven.events.inbox import Inbox, Merged

NOW = START - timedelta(minutes=30)


def version(number: int, id_: str = "e1") -> Event:
    return shed_event(-number, id_=id_, modified=NOW - timedelta(hours=1) + timedelta(seconds=number))


def merge(inbox: Inbox, *events: Event, now: datetime = NOW, broken: tuple[str | None, ...] = ()) -> Merged:
    found = inbox.news(events, broken=broken, now=now)
    for received in found.changed:
        inbox.put(received)
    return found


def merged(inbox: Inbox, *events: Event, now: datetime = NOW) -> list[str]:
    return [received.event.id for received in merge(inbox, *events, now=now).changed]


def test_looking_at_news_takes_nothing_over() -> None:
    inbox = Inbox()
    assert [received.event.id for received in inbox.news([version(1)], now=NOW).changed] == ["e1"]
    assert list(inbox.events) == []


def test_event_is_new_once() -> None:
    inbox = Inbox()
    assert merged(inbox, version(1)) == ["e1"]
    assert merged(inbox, version(1)) == []


def test_anchor_is_the_first_receipt_of_the_version_and_does_not_slide() -> None:
    """TIME-016."""
    inbox = Inbox()
    merged(inbox, version(1))
    merged(inbox, version(1), now=NOW + timedelta(minutes=5))
    received = inbox.get("e1")
    assert received is not None
    assert (received.anchor, received.first_received) == (NOW, NOW)

    merged(inbox, version(2), now=NOW + timedelta(minutes=10))
    received = inbox.get("e1")
    assert received is not None
    assert (received.anchor, received.first_received) == (NOW + timedelta(minutes=10), NOW)


@given(st.lists(st.integers(1, 6), min_size=1))
def test_newest_version_wins_whatever_the_order(numbers: list[int]) -> None:
    """VENCLIENT-011."""
    inbox = Inbox()
    for number in numbers:
        merge(inbox, version(number))
    received = inbox.get("e1")
    assert received is not None
    assert received.event == version(max(numbers))


def test_event_that_is_not_shown_any_more_is_missing() -> None:
    """VENCLIENT-012."""
    inbox = Inbox()
    merge(inbox, version(1, "a"), version(1, "b"))
    assert merge(inbox, version(1, "b")).missing == ("a",)


def test_event_that_became_unreadable_is_not_missing() -> None:
    inbox = Inbox()
    merge(inbox, version(1, "a"))
    assert merge(inbox, broken=("a", None)).missing == ()
