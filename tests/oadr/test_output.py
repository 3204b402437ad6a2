"""Lists on a terminal: ids by their beginnings, and lines that hold them in one piece."""

from __future__ import annotations

import os
import subprocess
import termios
from collections.abc import Sequence

import pytest

from oadr.terminal.output import show_rows, unique_beginnings
from oadr.terminal.tables import column_widths
from tests.e2e.processes import OADR
from tests.oadr.conftest import Operator
from tests.support.terminal import open_terminal


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        (["e9aeaab0-0cc7"], ["e9aeaab0"]),
        (["e9aeaab0-0cc7", "e9aeaab0-0cd8", "77b0c0de-1234"], ["e9aeaab0-0cc", "e9aeaab0-0cd", "77b0c0de"]),
        (["short"], ["short"]),
        (["12345678", "123456789"], ["12345678", "123456789"]),
        (["same-id-twice", "same-id-twice"], ["same-id-"] * 2),
        ([], []),
    ],
)
def test_an_id_is_shown_by_its_shortest_unique_beginning(ids: list[str], short: list[str]) -> None:
    found = unique_beginnings(ids)
    assert [found[each] for each in ids] == short


def on_terminal(operator: Operator, words: Sequence[str], *, columns: int, typed: bytes = b"") -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what the terminal showed."""
    ours, theirs = open_terminal()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = os.environ | operator.environment | {"TERM": "xterm", "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    running = subprocess.Popen([OADR, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the last one has closed the terminal
        pass
    os.close(ours)
    return running.wait(), shown.decode()


def test_a_list_keeps_its_words_whole_on_110_columns(operator: Operator) -> None:
    """And JSON has the whole id, on a terminal too."""
    words = ("--shed", "3kW", "--target", "group:north", "--start", "+1h", "--name", "evening")
    event = operator.ask("event", "create", *words)
    code, shown = on_terminal(operator, ("event", "list"), columns=110)
    assert code == 0, shown
    (line,) = [line for line in shown.splitlines() if event["id"][:8] in line]
    assert event["id"] not in shown
    for word in ("demand-response", "evening", "scheduled", "shed 3 kW"):
        assert word in line, shown
    assert event["id"] in on_terminal(operator, ("event", "list", "--json"), columns=110)[1]


def test_a_question_that_nobody_answers_says_what_to_do(operator: Operator) -> None:
    """The end of input on a terminal (Ctrl-D), and no terminal at all; Ctrl-C is an interruption."""
    words = ("event", "create", "--shed", "3kW")
    code, shown = on_terminal(operator, words, columns=110, typed=b"\x04")
    assert (code, "Give --yes" in shown, "Aborted" in shown) == (7, True, False), shown
    environment = os.environ | operator.environment
    done = subprocess.run(
        [OADR, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, "Give --yes" in done.stderr) == (7, True), done.stderr
    code, shown = on_terminal(operator, words, columns=110, typed=b"n\n")
    assert (code, "nothing was issued" in shown) == (7, True), shown
    assert operator.ask("event", "list") == []


@pytest.mark.parametrize(
    ("width", "widths"),
    [
        (60, [8, 11, 26]),
        (40, [8, 11, 12]),
        (28, [8, 5, 6]),
        (27, None),
    ],
)
def test_the_width_is_shared_out_in_words(width: int, widths: list[int] | None) -> None:
    """As many columns as possible have one line a row; none breaks a word; nothing is cut off."""
    lines = [("id", "State", "Note"), ("e9aeaab0", "not so good", "one of the panels is quiet")]
    assert column_widths(lines, width) == widths


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(140, []), (80, ["Client", "Resources"]), (60, ["Client", "Targets", "Resources"])],
)
def test_a_narrow_terminal_leaves_columns_out_and_breaks_no_word(
    width: int, left_out: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leave out the least needed first, and name it below the list."""
    cells = {
        "id": "e9aeaab0",
        "Name": "home-1",
        "Client": "device-of-home-1",
        "Targets": "group:north",
        "Resources": "8",
        "Can shed kW": "12.5",
        "Last contact": "12 min ago",
        "Problems": "unseen for 3 d, POST /vens refused 5 min ago: 409 Conflict",
    }
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("oadr.terminal.output.wants_json", lambda asked: asked)

    least = ["Client", "Resources", "Targets"]
    columns = {key: key for key in cells}
    show_rows([cells], columns, as_json=False, title="VENs", empty="", least_needed=least)

    shown = capsys.readouterr().out
    table, _, below = shown.partition("Too narrow for: ")
    assert max(map(len, shown.splitlines())) <= width
    for key, cell in cells.items():
        assert all(word in table.split() for word in cell.split()) is (key not in left_out), shown
    assert below.startswith(", ".join(left_out))
    assert bool(below) is bool(left_out)
