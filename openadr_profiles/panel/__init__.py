"""The language of legacy panels: commands, acknowledgments and metering, in one form for every dialect."""

from openadr_profiles.panel.acks import (
    Ack,
    CircuitCurtailment,
    FindCommand,
    KnownCommand,
    correlation_of,
    read_ack,
)
from openadr_profiles.panel.commands import ping_message, restore_message, rounded_kw, shed_message
from openadr_profiles.panel.errors import PanelContractError, UnsafePanelId, UnsendableCommand
from openadr_profiles.panel.identity import ack_topic, check_panel_id, command_topic, correlation_id, wire_event_id
from openadr_profiles.panel.reading import Unreadable
from openadr_profiles.panel.telemetry import Load, Telemetry, read_telemetry
from openadr_profiles.panel.vocabulary import AckStatus, CommandState, Dialect, Op

__all__ = [
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
    "command_topic",
    "correlation_id",
    "correlation_of",
    "ping_message",
    "read_ack",
    "read_telemetry",
    "restore_message",
    "rounded_kw",
    "shed_message",
    "wire_event_id",
]
