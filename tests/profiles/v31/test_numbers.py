"""Numbers come back with the text they came with (GEN-017)."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openadr_profiles.v31 import ReportRequest, decode, encode
from openadr_profiles.v31.common import ValuesMap
from openadr_profiles.v31.numbers import as_written

DIGITS = st.text("0123456789", min_size=1, max_size=25)
NUMBERS = st.builds(
    lambda sign, whole, fraction, exponent: sign + (whole.lstrip("0") or "0") + fraction + exponent,
    st.sampled_from(["", "-"]),
    DIGITS,
    st.one_of(st.just(""), DIGITS.map(lambda digits: "." + digits)),
    st.one_of(st.just(""), st.builds("{}{}{:d}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]),
                                     st.integers(0, 250))),
)  # fmt: skip


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(["", " ", "\n"]))
@example(["0.10", "1e3", "-0", "-0.0"], "")
@example(["0.12345678901234567890", "12345678901234567890123", "10000000000000000.0", "0.00001"], " ")
def test_every_number_keeps_its_text(texts: list[str], blank: str) -> None:
    """As a value and in a point, however many digits it has, and wherever blanks are."""
    values = ",".join(f'{text}{blank},{{"x":{text}{blank},"y":1}}' for text in texts)
    raw = f'{{"type":"CURVE","values":[{values}]}}'.encode()

    assert encode(as_written(decode(raw, ValuesMap), raw)) == raw.replace(blank.encode(), b"")


def test_a_number_can_be_counted_with() -> None:
    """It is a float like any other, and equal to the one without its text."""
    raw = b'{"type":"USAGE","values":[0.10]}'
    document = as_written(decode(raw, ValuesMap), raw)

    assert document == decode(raw, ValuesMap)
    assert document.values[0] == 0.1


@pytest.mark.parametrize("raw", [b'{"x":1.0}', b'{"id":1.50}', b"[]"])
def test_members_that_nobody_knows_do_no_harm(raw: bytes) -> None:
    """They are ignored here as they are everywhere (GEN-011)."""
    whole = b'{"eventID":"e","clientName":"c","resources":[],"more":' + raw + b',"and":1e3}'

    document = as_written(decode(whole, ReportRequest), whole)

    assert json.loads(encode(document)) == {"eventID": "e", "clientName": "c", "resources": []}
