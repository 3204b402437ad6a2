"""No test may end with a secret in a log, an error or another output: every secret in use is a canary.

Secrets are noted where the product keeps, makes, checks or seals them (`recorder/witness.py`), in the test run and in
the commands that it starts. What is looked through: log entries of all levels in the test run, the output of commands
in it (CliRunner), what pytest has captured, everything that started commands write to standard output and error, and
the VTN's refusals in `tests/vtn/harness.py`. Secrets that a text may have by chance are not looked for: short ones
(`"x"`, `"secret"`), words (`"the same"`) and numbers. The product itself makes long ones, which are looked for.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
import structlog

from tests.support.recorder import witness

_LEAST_LETTERS: Final = 8
_LEAST_DIFFERENT: Final = 5
"""Fewer different letters (`"00000000"`, as generators of test data make them) are no canary: they may be anywhere."""
_WORDS_OR_NUMBER: Final = re.compile(r"[a-zA-Z ]{1,31}|[\d .:]{1,31}")
_ALWAYS: Final = re.compile(
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}"  # a token of ours (JWT)
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b[Bb]earer [\w.~+/-]{16,}|\bBasic [A-Za-z0-9+/]{12,}"
)
_AROUND: Final = 60
_SHOWN_ON_PURPOSE: Final = ({"client", "add"}, {"client", "rotate"}, {"client", "webhook-secret"}, {"vtn", "init"})
"""Commands that print a new secret on standard output, once (`oadr vtn client add`)."""

_current: Canaries | None = None


def look(where: str, text: str) -> None:
    """Have the running test fail if there is a secret in a text; does nothing outside a run that is guarded."""
    if _current is not None:
        _current.look(where, text)


class Canaries:
    """The secrets that were used so far, and where one of them was found."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self._secrets: dict[str, dict[str, None]] = {}
        """By their first letters: a run has thousands, and looks through every text for all of them at once."""
        self._texts: list[tuple[str, str]] = []
        self._tails: dict[tuple[int, str], str] = {}

    def note(self, secret: str) -> None:
        """Look for this secret from now on; of the URL of a database, for the password in it."""
        if "://" in secret:
            try:
                secret = unquote(urlsplit(secret).password or "")
            except ValueError:
                return
        by_chance = len(secret) < _LEAST_LETTERS or len(set(secret)) < _LEAST_DIFFERENT
        if not by_chance and not _WORDS_OR_NUMBER.fullmatch(secret):
            self._secrets.setdefault(secret[:_LEAST_LETTERS], {})[secret] = None

    def knows(self, secret: str) -> bool:
        """Return True if this secret is looked for."""
        self._read_processes()
        return secret in self._secrets.get(secret[:_LEAST_LETTERS], {})

    def look(self, where: str, text: str) -> None:
        """Look for secrets in this text, at the latest when the test ends."""
        if text:
            self._texts.append((where, text))

    def found(self) -> list[str]:
        """Say where secrets were in the texts since this was asked last, those of started commands included."""
        self._read_processes()
        texts, self._texts = self._texts, []
        found = []
        for where, text in texts:
            leak = self._leak(text)
            if leak is not None:
                at, end = leak
                found.append(f"{where}: …{text[max(at - _AROUND, 0) : end + _AROUND]!r}…")
        return found

    def _leak(self, text: str) -> tuple[int, int] | None:
        match = _ALWAYS.search(text)
        if match is not None:
            return match.span()
        beginning_with = self._secrets.get
        for at in range(len(text) - _LEAST_LETTERS + 1):
            for secret in beginning_with(text[at : at + _LEAST_LETTERS], ()):
                if text.startswith(secret, at):
                    return at, at + len(secret)
        return None

    def _read_processes(self) -> None:
        """Read what commands have appended; half a line waits for the rest of it."""
        if not self._file.exists() or self._file.stat().st_size == self._read:
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            lines = file.readlines()
        written: dict[tuple[int, str], tuple[list[str], list[str]]] = {}
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            pid, words, kind, text = ast.literal_eval(line.decode())
            if kind == "secret":
                self.note(text)
            elif not (kind == "stdout" and shown_on_purpose(words)):
                written.setdefault((pid, kind), (words, []))[1].append(text)
        for (pid, kind), (words, texts) in written.items():
            text = self._tails.get((pid, kind), "") + "".join(texts)
            self._tails[pid, kind] = text[-200:] if self._leak(text[-200:]) is None else ""
            self.look(f"{kind} of {' '.join(words)}", text)

    # What is written in the test run itself.

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look through log entries and the output of commands in this process."""
        global _current  # noqa: PLW0603 # one run a process
        witness.watch_secrets(self.note)
        witness.when_loaded("typer.testing", self._watch_runner)
        factory = logging.getLogRecordFactory()
        configure = structlog.configure
        captured = structlog.testing.LogCapture.__call__

        def record(*arguments: Any, **named: Any) -> logging.LogRecord:
            made = factory(*arguments, **named)
            self.look(f"log of {made.name}", f"{made.getMessage()} {made.exc_info and made.exc_info[1]!r}")
            return made

        def configured(*arguments: Any, **named: Any) -> None:
            configure(*arguments, **named)
            processors = structlog.get_config()["processors"]
            if self._entry not in processors:
                configure(processors=[*processors, self._entry])

        def capture(capture: Any, logger: Any, name: str, entry: Any) -> Any:
            self._entry(logger, name, entry)
            return captured(capture, logger, name, entry)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(structlog, "configure", configured)
            patch.setattr(structlog.testing.LogCapture, "__call__", capture)
            logging.setLogRecordFactory(record)
            structlog.configure()
            _current = self
            yield
            _current = None
            logging.setLogRecordFactory(factory)

    def _entry(self, _: Any, __: str, entry: Any) -> Any:
        self.look("log", str(entry))
        return entry

    def _watch_runner(self, module: Any) -> None:
        invoke = module.CliRunner.invoke

        def invoked(runner: Any, app: Any, args: Any = None, **named: Any) -> Any:
            result = invoke(runner, app, args, **named)
            words = args.split() if isinstance(args, str) else [*(args or ())]
            if not shown_on_purpose(words):
                self.look(f"stdout of {' '.join(words)}", result.stdout)
            self.look(f"stderr of {' '.join(words)}", result.stderr)
            return result

        module.CliRunner.invoke = invoked


def shown_on_purpose(words: list[str]) -> bool:
    """Return True for a command that prints a secret on standard output because it was asked for it."""
    return any(each <= set(words) for each in _SHOWN_ON_PURPOSE)


class Guard:
    """Fails each test whose outputs have a secret in them."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: Any
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """After a test has been torn down: look through everything it has written."""
        report = yield
        if call.when == "teardown":
            for heading, text in report.sections:
                self._canaries.look(heading, text)
            found = self._canaries.found()
            if found:
                report.outcome = "failed"
                report.longrepr = "\n".join([f"{item.nodeid}: a secret was written", *found])
        return report
