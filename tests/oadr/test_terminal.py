"""Control characters of a name are shown, never sent: on screens, in JSON, in errors and in logs."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from oadr.errors import Exit, Failure, reporting
from oadr.process import logs
from oadr.terminal.text import visible, visible_json

EVIL = "home\x1b[2J\x9b1m\u202e\x07\r\nx"


def test_every_control_character_is_spelled_out() -> None:
    assert visible(EVIL) == "home\\x1b[2J\\x9b1m\\u202e\\x07\\x0d\\x0ax"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert visible("Küche 日本 👍") == "Küche 日本 👍"


def test_json_means_the_same_with_characters_escaped() -> None:
    text = json.dumps({EVIL: [EVIL, "\U000e0001"]}, indent=2, ensure_ascii=False)
    shown = visible_json(text)
    assert json.loads(shown) == {EVIL: [EVIL, "\U000e0001"]}
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\r"} & set(shown)


def test_errors_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BaseException, match="6"), reporting():
        raise Failure(f"no such ven {EVIL}", Exit.REFUSED)
    assert "\x1b" not in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_logs_on_a_terminal_show_them_also_in_tracebacks_and_of_libraries() -> None:
    stream = _Terminal()
    logs.configure(stream=stream)
    structlog.get_logger("x").warning("seen", ven_name=EVIL, names=[EVIL])
    logging.getLogger("library").warning("of a library: %s", EVIL)
    try:
        raise ValueError(EVIL)
    except ValueError:
        structlog.get_logger("x").exception("failed")
    text = stream.getvalue()
    assert text.count("\\x9b1m") >= 4
    assert "\x9b" not in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
