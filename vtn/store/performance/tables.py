"""The tables of results: what an event delivered by one method, for settlement.

Energies are whole watt-hours, null is "not known". There are no foreign keys to events: a frozen result stays when its
event is gone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from vtn.store.tables import metadata
from vtn.store.types import KEY

performance_results = Table(
    "performance_results",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("event_id", KEY, nullable=False),
    Column("event_name", Text),
    Column("program_id", KEY, nullable=False),
    Column("starts_at", KEY, nullable=False),  # of the event as it was evaluated
    Column("ends_at", KEY, nullable=False),
    Column("method", Text, nullable=False),
    Column("step_s", Integer, nullable=False),
    Column("zone", Text, nullable=False),
    Column("holidays", Text, nullable=False),  # a JSON list of days
    Column("circuits", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # WAITING, EVALUATING, EVALUATED, FROZEN or FAILED
    Column("vens_done", Integer, nullable=False),
    Column("vens", Integer),  # whom the event reached; null: not counted yet
    Column("trouble", Text),  # why it failed
    Column("inputs_sha256", Text),  # null until it is evaluated, and the same for the column below
    Column("sums", Text),  # JSON: the curve of the fleet and its sums
    Column("made_by", Text, nullable=False),
    Column("made_at", KEY, nullable=False),
    Column("touched_at", KEY, nullable=False),  # when its evaluation last went on
    Column("frozen_by", Text),  # null: it is not frozen
    Column("frozen_at", KEY),
)
"""Results and evaluations that are under way. Of a frozen one nothing is changed any more."""
Index(None, performance_results.c.event_id, performance_results.c.made_at)
Index(None, performance_results.c.made_at)

performance_participants = Table(
    "performance_participants",
    metadata,
    Column("result_id", KEY, ForeignKey("performance_results.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("client_id", KEY, nullable=False),
    Column("resource", KEY, nullable=False),
    Column("name", Text, nullable=False),
    Column("requested_wh", BigInteger),
    Column("delivered_wh", BigInteger),
    Column("shortfall_wh", BigInteger),
    Column("performance_permille", BigInteger),  # delivered by requested energy, where both are known
    Column("gaps", Integer, nullable=False),  # steps whose delivery is not known
    Column("details", Text, nullable=False),  # JSON: notes, days, adjustment and steps
)
"""Hold who took part in a result, in the order of client ids and resources."""
Index(
    None,
    performance_participants.c.result_id,
    performance_participants.c.client_id,
    performance_participants.c.resource,
)
