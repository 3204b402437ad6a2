"""Decide what becomes of the issues of an event when it is projected: numbers, cancellations and new issues.

Rules without I/O. A number goes up by one when anything changes that a VEN sees, or on cancel, and never down
(B-EVT-008 … B-EVT-011). Cancelled and completed are final, so what comes after has another eventID (B-EVT-015).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from msgspec.structs import replace

from openadr_profiles.v20b.projection import NoForm, NoFormKind, Projection, encoded, project
from openadr_profiles.v31 import Event, Program, decode, encode
from vtn.store.rows import ObjectRow
from vtn.store.stamps import stamp
from vtn.store.v20b.event_rows import EventSource20b, IssueRow, IssueState
from vtn.store.v20b.events import IssueChange

_log = structlog.get_logger(__name__)

MOST_ISSUES: Final = 50
"""Issues that an event may have: one more with every time that it is taken away and given again."""
_TOO_OFTEN: Final = NoForm(NoFormKind.TOO_OFTEN, f"it was taken away and given again {MOST_ISSUES} times")


def changes_of(source: EventSource20b, now: datetime, *, base_url: str) -> list[IssueChange]:
    """Return what becomes of the issues of one event that are not final, and a new issue if one is needed.

    The market context of an issue never changes (B-EVT-036): one of another is cancelled, and a new one begins.
    """
    at = stamp(now)
    open_issues = [each for each in source.issues if each.state in {IssueState.LIVE, IssueState.NO_FORM}]
    result, anchor = _projected(source, open_issues, now, base_url)
    if any(each.issue >= MOST_ISSUES for each in open_issues):
        result = _TOO_OFTEN
    versions = {
        "event_modified_at": source.modified_at,
        "program_modified_at": source.program_modified_at,
        "anchor": anchor,
    }
    changes: list[IssueChange] = []
    follows = not open_issues
    for before in open_issues:
        if isinstance(result, NoForm):
            changes.append(_without_form(before, result, at, versions))
            follows |= before.is_live
        elif not before.is_live:
            live = replace(_live(before, result, at), **versions, program_id=source.program_id)
            changes.append(IssueChange(before=before, after=live, content=encoded(result)))
        elif (before.program_id, before.market_context) != (source.program_id, result.market_context):
            changes.append(IssueChange(before=before, after=cancelled(before, at)))
            follows = True
        elif before.over_at is not None and before.over_at <= at:
            revived = before.digest != result.digest() and not _is_over(result, now)
            state = IssueState.ENDED.value if revived else before.state
            changes.append(IssueChange(before=before, after=replace(before, **versions, state=state)))
            follows |= revived
        else:
            changes.append(_changed(before, result, at, versions))
    if follows:
        changes.append(_new(source, result, at, versions))
    return changes


def cancelled(before: IssueRow, at: str) -> IssueRow:
    """Return an issue that is taken back from all VENs (B-EVT-010)."""
    return replace(before, state=IssueState.CANCELLED.value, number=before.number + 1, changed_at=at)


def reissued(issues: list[IssueRow], like: IssueRow, projection: Projection, at: str) -> IssueChange | None:
    """Return a further issue of an event for VENs that were told it is cancelled; None if there were too many."""
    number = max(each.issue for each in issues) + 1
    if number >= MOST_ISSUES:
        return None
    fresh = replace(like, issue=number, wire_id=wire_id(like.event_id, number), number=0, created_at=at, changed_at=at)
    return IssueChange(before=None, after=fresh, content=encoded(projection))


def wire_id(event_id: str, issue: int) -> str:
    """Return the eventID of an issue: the first one has that of the event."""
    return f"{event_id}-{issue}" if issue else event_id


def event_of(row: ObjectRow) -> Event:
    """Return the event in a row."""
    return decode(_document(row), Event)


def program_of(row: ObjectRow) -> Program:
    """Return the program in a row."""
    return decode(_document(row), Program)


def _document(row: ObjectRow) -> bytes:
    targets = encode(row.targets or ()).decode()
    return (
        f'{{"id":"{row.id}","createdDateTime":"{row.created_at}","modificationDateTime":"{row.modified_at}"'
        f',{row.members},"targets":{targets}}}'
    ).encode()


def _projected(
    source: EventSource20b, issues: list[IssueRow], now: datetime, base_url: str
) -> tuple[Projection | NoForm, str | None]:
    """Return the projection, and what its start "now" means, which stays what it was (4.2)."""
    if source.event is None:
        return NoForm(NoFormKind.TOO_LONG, "it is larger than a message may be"), None
    try:
        return _placed(source, source.event, issues, now, base_url)
    except Exception:  # whatever it is: other events go on, and this one is not tried at every poll
        _log.exception("an event cannot be projected for VENs of 2.0b", event_id=source.event_id)
        return NoForm(NoFormKind.FAILED, "it could not be projected; the log says why"), None


def _placed(
    source: EventSource20b, row: ObjectRow, issues: list[IssueRow], now: datetime, base_url: str
) -> tuple[Projection | NoForm, str | None]:
    event = event_of(row)
    anchor = next((each.anchor for each in issues if each.anchor is not None), source.modified_at)
    result = project(
        event, program_of(source.program), now=now, anchor=datetime.fromisoformat(anchor), base_url=base_url
    )
    starts_now = isinstance(result, Projection) and any(loss.kind == "NOW_FROZEN" for loss in result.losses)
    return result, anchor if starts_now else None


def _is_over(projection: Projection, now: datetime) -> bool:
    return projection.over_at is not None and projection.over_at <= now


def _without_form(before: IssueRow, refused: NoForm, at: str, versions: dict[str, str | None]) -> IssueChange:
    if before.is_live:
        return IssueChange(before=before, after=replace(cancelled(before, at), reason=_reason(refused)))
    return IssueChange(before=before, after=replace(before, **versions, reason=_reason(refused)))


def _live(before: IssueRow, result: Projection, at: str) -> IssueRow:
    over_at = result.over_at
    return replace(
        before,
        state=IssueState.LIVE.value,
        market_context=result.market_context,
        digest=result.digest(),
        reason=None,
        changed_at=at,
        starts_at=stamp(result.start),
        over_at=None if over_at is None else stamp(over_at),
        rolls_at=None if result.rolls_at is None else stamp(result.rolls_at),
    )


def _changed(before: IssueRow, result: Projection, at: str, versions: dict[str, str | None]) -> IssueChange:
    if result.digest() == before.digest:
        rolls_at = None if result.rolls_at is None else stamp(result.rolls_at)
        return IssueChange(before=before, after=replace(before, **versions, rolls_at=rolls_at))
    after = replace(_live(before, result, at), **versions, number=before.number + 1)
    return IssueChange(before=before, after=after, content=encoded(result))


def _new(source: EventSource20b, result: Projection | NoForm, at: str, versions: dict[str, str | None]) -> IssueChange:
    number = max((each.issue for each in source.issues), default=-1) + 1
    if number >= MOST_ISSUES:
        result = _TOO_OFTEN
    blank = IssueRow(
        event_id=source.event_id,
        issue=number,
        wire_id=wire_id(source.event_id, number),
        program_id=source.program_id,
        state=IssueState.NO_FORM.value,
        number=0,
        market_context="",
        digest="",
        event_modified_at=source.modified_at,
        program_modified_at=source.program_modified_at,
        created_at=at,
        changed_at=at,
    )
    blank = replace(blank, **versions)
    if isinstance(result, NoForm):
        return IssueChange(before=None, after=replace(blank, reason=_reason(result)))
    return IssueChange(before=None, after=_live(blank, result, at), content=encoded(result))


def _reason(refused: NoForm) -> str:
    return f"{refused.kind}: {refused.reason}"
