"""What `scripts/test` does with a test that waited in vain: it is tried once more, and nothing of that is hidden.

Only a wait that ended too late is tried again, which a busy machine explains; every other failure is one at once. The
report shows each first failure whole, for it may as well be a fault that is rare. Too many of them fail the run.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

MOST: Final = 3
OPTIONS: Final = ("--reruns", "1", "--only-rerun", "not within", "--only-rerun", "Timeout")


class SecondTries:
    """Show what failed at first, and fail a run in which that were more than a few tests."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run."""
        if len(_of(session.config.pluginmanager.get_plugin("terminalreporter"))) > MOST:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the failures."""
        found = _of(terminalreporter)
        if not found:
            return
        terminalreporter.section("FAILED AT FIRST", sep="=")
        for report in found:
            terminalreporter.section(report.nodeid, sep="_")
            report.toterminal(terminalreporter._tw)
        if len(found) > MOST:
            terminalreporter.line(f"{len(found)} tests failed at first, more than {MOST}: the run has failed", red=True)


def _of(reporter: Any) -> list[pytest.TestReport]:
    return [] if reporter is None else list(reporter.stats.get("rerun", ()))
