"""Be a package with rules of its own."""

from ven.decision import Candidate

NUMBER = 7


def never_on_new_years_eve(candidate: Candidate) -> str | None:
    """Opt out on the last day of the year."""
    return "New Year's Eve" if (candidate.start.month, candidate.start.day) == (12, 31) else None
