"""Events of OpenADR 3 as VENs of 2.0b are told of them: rules without I/O, and without XML (sections 4.1 to 4.3)."""

from openadr_profiles.v20b.projection.clock import EventStatus20b, current_value, order, status
from openadr_profiles.v20b.projection.losses import Loss, LossKind, NoForm, NoFormKind
from openadr_profiles.v20b.projection.policy import Policy20b, policy_of
from openadr_profiles.v20b.projection.projecting import MOST_INTERVALS, project
from openadr_profiles.v20b.projection.projection import Projection, SignalPart, decoded, encoded
from openadr_profiles.v20b.projection.targets import TargetPart, parts_for

__all__ = [
    "EventStatus20b",
    "Loss",
    "LossKind",
    "MOST_INTERVALS",
    "NoForm",
    "NoFormKind",
    "Policy20b",
    "Projection",
    "SignalPart",
    "TargetPart",
    "current_value",
    "decoded",
    "encoded",
    "order",
    "parts_for",
    "policy_of",
    "project",
    "status",
]
