"""Judge the demo: compare what was reported and stored with the real powers of the circuits. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oadr.demo.truth import Ledger
from openadr_profiles.fleet.reports import opt_report_name, status_report_name
from openadr_profiles.fleet.status import EventStatus, Participant
from openadr_profiles.v31 import Report, ReportPayloadType

_TOLERANCE_KW = Decimal("0.3")
_TOLERANCE_SHARE = Decimal("0.1")
_LEFT_KW = Decimal("0.01")
_WORTH_SHEDDING_KW = Decimal("0.05")
_ASKED_FOR = frozenset({ReportPayloadType.USAGE, ReportPayloadType.DEMAND, ReportPayloadType.BASELINE})


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: which part, and what about it."""

    part: str
    problem: str


@dataclass(frozen=True)
class Evidence:
    """Everything the verdict rests on.

    ``requested`` is the kW asked of each participant in each interval, from its status report; of homes on OpenADR
    2.0b, which have no such report, from the event. ``telemetry`` is what those homes have told instead: the kW of
    their reductions in each interval. ``commands`` and ``acks`` are the bridge's, as its API gives them.
    """

    status: EventStatus
    requested: Mapping[str, Mapping[int, Decimal]]
    reports: Sequence[Report]
    ledger: Ledger
    commands: Mapping[str, Sequence[Mapping[str, Any]]]
    acks: Sequence[Mapping[str, Any]]
    failures: Mapping[str, str]
    homes: Collection[str]
    panels: Collection[str]
    bridge: str
    opts_out: Collection[str]
    asked_kw: Sequence[float]
    telemetry: Mapping[str, Mapping[int, Decimal]]


def judge(evidence: Evidence) -> list[Finding]:
    """Return all findings; an empty list is a pass."""
    findings = [Finding(part, why) for part, why in evidence.failures.items()]
    participants = {participant.name: participant for participant in evidence.status.participants}
    for name in (*evidence.homes, *evidence.panels):
        participant = participants.get(name)
        if participant is None:
            findings.append(Finding(name, "was not targeted"))
            continue
        findings += _answered(participant, evidence)
        findings += _shed(participant, evidence)
    findings += _split(evidence)
    findings += _acknowledged(evidence)
    findings += _reported(evidence)
    findings += _told(evidence)
    return findings


def _answered(participant: Participant, evidence: Evidence) -> list[Finding]:
    name = participant.name
    if not participant.reached:
        return [Finding(name, "has not answered")]
    if name in evidence.opts_out:
        if participant.opted_in:
            return [Finding(name, "should have opted out by its own rule")]
        return [] if participant.reason else [Finding(name, "opted out without a reason")]
    return [] if participant.opted_in else [Finding(name, f"opted out: {participant.reason}")]


def _shed(participant: Participant, evidence: Evidence) -> list[Finding]:
    name, findings = participant.name, []
    truth = evidence.ledger.circuits[name]
    for circuit, seen in truth.items():
        if seen.critical and seen.most_taken_kw > 0:
            findings.append(Finding(name, f"critical circuit {circuit} was touched: {seen.most_taken_kw} kW"))
        if seen.now.taken_kw > _LEFT_KW:
            findings.append(Finding(name, f"circuit {circuit} has not returned: {seen.now.taken_kw} kW still taken"))
    if name in evidence.opts_out:
        touched = [circuit for circuit, seen in truth.items() if seen.most_taken_kw > 0]
        return findings + [Finding(name, f"opted out, but {circuit} was curtailed") for circuit in touched]
    for interval in range(len(evidence.asked_kw)):
        requested = evidence.requested.get(name, {}).get(interval)
        if requested is None:
            findings.append(Finding(name, f"did not report what it was asked for in interval {interval}"))
            continue
        taken = evidence.ledger.taken_kw(name, interval)
        if taken < requested * (1 - _TOLERANCE_SHARE) - _TOLERANCE_KW:
            findings.append(Finding(name, f"shed {taken} kW of {requested} kW in interval {interval}"))
    if evidence.status.state == "completed":
        held = [circuit.name for circuit in participant.circuits if (circuit.state or "").endswith("_CURTAILED")]
        findings += [Finding(name, f"reports {circuit} as curtailed after the event") for circuit in held]
    for circuit_status in participant.circuits:
        seen_here = truth.get(circuit_status.name)
        if (circuit_status.requested_kw or 0) > _WORTH_SHEDDING_KW and (
            seen_here is None or seen_here.most_taken_kw == 0
        ):
            findings.append(Finding(name, f"reports a shed of {circuit_status.name} that never took place"))
    return findings


def _split(evidence: Evidence) -> list[Finding]:
    findings = []
    for interval, asked in enumerate(evidence.asked_kw):
        parts = sum(
            (evidence.requested.get(panel, {}).get(interval, Decimal(0)) for panel in evidence.panels), Decimal(0)
        )
        if abs(parts - Decimal(str(asked))) > Decimal("0.01"):
            findings.append(Finding(evidence.bridge, f"split {parts} kW of {asked} kW in interval {interval}"))
    return findings


def _acknowledged(evidence: Evidence) -> list[Finding]:
    findings = []
    stored = {ack["correlationId"] for ack in evidence.acks if ack["matched"]}
    for panel in evidence.panels:
        commands = [command for command in evidence.commands.get(panel, ()) if command["sentAt"] is not None]
        if not commands:
            findings.append(Finding(panel, "was sent no command"))
        for command in commands:
            what = f"{command['op']} {command['correlationId']}"
            if command["state"] != "acked":
                findings.append(Finding(panel, f"{what} is {command['state']}: {command['error'] or 'no answer'}"))
            elif command["correlationId"] not in stored:
                findings.append(Finding(evidence.bridge, f"the acknowledgment of {what} by {panel} was not stored"))
            if command["doubleShed"]:
                findings.append(Finding(panel, f"{what} was carried out twice"))
    return findings


def _reported(evidence: Evidence) -> list[Finding]:
    findings = []
    own = (opt_report_name(evidence.status.event_id), status_report_name(evidence.status.event_id))
    for client_id in (*(home for home in evidence.homes if home not in evidence.telemetry), evidence.bridge):
        reports = [report for report in evidence.reports if report.client_id == client_id]
        counts = Counter(report.report_name for report in reports)
        wanted = own[:1] if client_id in evidence.opts_out else own
        findings += [Finding(client_id, f"did not send the report {name}") for name in wanted if not counts[name]]
        findings += [Finding(client_id, f"sent {name} {count} times") for name, count in counts.items() if count > 1]
        said = {
            payload.type
            for report in reports
            if report.report_name not in own
            for resource in report.resources
            for interval in resource.intervals
            for payload in interval.payloads
        }
        if missing := _ASKED_FOR - said:
            findings.append(Finding(client_id, f"did not send the report asked for: {', '.join(sorted(missing))}"))
    return findings


def _told(evidence: Evidence) -> list[Finding]:
    """Compare the telemetry of homes on OpenADR 2.0b with the powers of their circuits."""
    findings = []
    for name, told in evidence.telemetry.items():
        for interval in range(len(evidence.asked_kw)):
            if interval not in told:
                findings.append(Finding(name, f"no data: sent no telemetry in interval {interval}"))
                continue
            taken = evidence.ledger.taken_kw(name, interval)
            if abs(told[interval] - taken) > taken * _TOLERANCE_SHARE + _TOLERANCE_KW:
                words = f"shed {taken} kW in interval {interval}, but its telemetry tells of {told[interval]:.2f} kW"
                findings.append(Finding(name, words))
    return findings
