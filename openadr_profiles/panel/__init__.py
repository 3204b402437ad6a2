"""The language of legacy panels: commands, acknowledgments and metering, in one form for every dialect."""

from openadr_profiles.panel.acks import (
    Ack,
    CircuitCurtailment,
    FindCommand,
    KnownCommand,
    circuits_of,
    read_ack,
)
from openadr_profiles.panel.commands import ping_message, rounded_kw
from openadr_profiles.panel.dialect import Dialect
from openadr_profiles.panel.dialects import ASSUMED, DIALECTS, WITHOUT_RESTORE, dialect_named
from openadr_profiles.panel.envelope import ENVELOPE
from openadr_profiles.panel.errors import PanelContractError, UnsafePanelId, UnsendableCommand
from openadr_profiles.panel.flat import FLAT
from openadr_profiles.panel.identity import ack_topic, check_panel_id, command_topic, correlation_id, wire_event_id
from openadr_profiles.panel.load import Load, circuit_type, is_critical
from openadr_profiles.panel.reading import Unreadable
from openadr_profiles.panel.telemetry import Telemetry, read_telemetry
from openadr_profiles.panel.vocabulary import AckStatus, CommandState, Op

__all__ = [
    "ASSUMED",
    "DIALECTS",
    "ENVELOPE",
    "FLAT",
    "WITHOUT_RESTORE",
    "Ack",
    "AckStatus",
    "CircuitCurtailment",
    "CommandState",
    "Dialect",
    "FindCommand",
    "KnownCommand",
    "Load",
    "Op",
    "PanelContractError",
    "Telemetry",
    "Unreadable",
    "UnsafePanelId",
    "UnsendableCommand",
    "ack_topic",
    "check_panel_id",
    "circuit_type",
    "circuits_of",
    "command_topic",
    "correlation_id",
    "dialect_named",
    "is_critical",
    "ping_message",
    "read_ack",
    "read_telemetry",
    "rounded_kw",
    "wire_event_id",
]
