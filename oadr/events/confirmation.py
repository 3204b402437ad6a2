"""Show what issuing an event would do, and ask before it is large or goes to everybody."""

from __future__ import annotations

import sys

import typer

from oadr.business_logic.connection import BusinessLogic
from oadr.errors import Exit, Failure
from oadr.terminal.text import visible
from openadr_profiles.fleet.preview import Preview, Safety


def confirm(preview: Preview, yes: bool, dry_run: bool) -> None:
    """Show what would happen; raise Failure (exit code 7) unless it may."""
    for line in preview.summary:
        tell(line)
    for line in preview.warnings:
        tell(f"warning: {line}")
    if preview.refused:
        reasons = "; ".join(preview.refused)
        raise Failure(f"refused: {reasons}. Change it, or the limit in [safety] of the settings", Exit.CHECK_FAILED)
    if dry_run or yes or not preview.confirm:
        return
    reasons = "; ".join(preview.confirm)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"not issued: {reasons}. Give --yes to issue it without a question", Exit.CHECK_FAILED)
    try:
        agreed = typer.confirm(visible(f"{reasons}. Issue it?"), err=True)
    except typer.Abort as error:
        tell("")
        if isinstance(error.__context__, KeyboardInterrupt):
            raise Failure("nothing was issued", Exit.INTERRUPTED) from None
        told = "nothing was issued, as nobody answered. Give --yes to issue it without a question"
        raise Failure(told, Exit.CHECK_FAILED) from None
    if not agreed:
        raise Failure("nothing was issued", Exit.CHECK_FAILED)


def tell(line: str) -> None:
    """Print a line on standard error."""
    typer.echo(visible(line), err=True)


def safety_of(settings: BusinessLogic) -> Safety:
    """Return the limits of issuing that the settings name."""
    limits = settings.safety
    return Safety(
        confirm_above_kw=limits.confirm_above_kw,
        max_kw_per_ven=limits.max_kw_per_ven,
        max_total_kw=limits.max_total_kw,
        max_days_ahead=limits.max_days_ahead,
    )
