"""Random documents of 3.0.1, as clients write them, in the form in which they come back."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.profiles.v31.strategies import durations, given_or_not, moments, payloads

Document = dict[str, Any]

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
values = st.one_of(texts, st.integers(-(2**31), 2**31), st.booleans(), st.floats(-1e6, 1e6).map(lambda x: round(x, 2)))
types = st.sampled_from(["GROUP", "VEN_NAME", "SERVICE_AREA", "x-private"])
starts = st.one_of(moments.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")), st.just("0001-01-01T00:00:00Z"))


def distinct(one: Any) -> str:
    """Return what makes a value another one: 1 is not true, and neither is the text "1"."""
    return f"{type(one).__name__} {one}"


values_maps = st.fixed_dictionaries(
    {"type": types, "values": st.lists(values, min_size=1, max_size=3, unique_by=distinct)}
)
targets = st.lists(values_maps, min_size=1, max_size=3, unique_by=lambda one: str(one["type"]))
attributes = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["X_ONE", "X_TWO"]), "values": st.lists(values, max_size=2)}),
    min_size=1,
    max_size=2,
)


@st.composite
def periods(draw: st.DrawFn) -> Document:
    return (
        {"start": draw(starts)}
        | draw(given_or_not("duration", durations))
        | draw(given_or_not("randomizeStart", durations))
    )


@st.composite
def intervals(draw: st.DrawFn) -> list[Document]:
    return [
        {"id": number} | draw(given_or_not("intervalPeriod", periods())) | {"payloads": draw(payloads)}
        for number in range(draw(st.integers(0, 3)))
    ]


@st.composite
def programs(draw: st.DrawFn) -> Document:
    """A program; its name is for the test to give."""
    found: Document = {}
    for name in ("programLongName", "retailerName", "retailerLongName", "programType", "country"):
        found |= draw(given_or_not(name, st.one_of(st.just(""), texts)))
    found |= draw(given_or_not("timeZoneOffset", durations))
    for name in ("bindingEvents", "localPrice"):
        found |= draw(given_or_not(name, st.booleans()))
    found |= draw(given_or_not("intervalPeriod", periods()))
    found |= draw(given_or_not("attributes", attributes))
    return found | draw(given_or_not("targets", targets))


@st.composite
def events(draw: st.DrawFn) -> Document:
    """An event; its program is for the test to give."""
    descriptors = st.lists(
        st.builds(lambda more: {"payloadType": "USAGE", **more}, given_or_not("targets", targets)),
        min_size=1,
        max_size=3,
    )
    found: Document = {"intervals": draw(intervals())}
    for name, strategy in (
        ("eventName", texts),
        ("priority", st.integers(0, 9)),
        ("duration", durations),
        ("intervalPeriod", periods()),
        ("reportDescriptors", descriptors),
        ("targets", targets),
    ):
        found |= draw(given_or_not(name, strategy))
    return found


@st.composite
def reports(draw: st.DrawFn) -> Document:
    """A report; its event is for the test to give."""
    resources = [
        {"resourceName": name} | draw(given_or_not("intervalPeriod", periods())) | {"intervals": draw(intervals())}
        for name in draw(st.lists(st.sampled_from("abc"), max_size=2, unique=True))
    ]
    return {"clientName": "meter", "resources": resources} | draw(given_or_not("reportName", texts))


@st.composite
def resources(draw: st.DrawFn) -> Document:
    """A resource; its name is for the test to give."""
    return draw(given_or_not("attributes", attributes)) | draw(given_or_not("targets", targets))
