"""``oadr vtn 20b explain``: messages of OpenADR 2.0b in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from oadr.__main__ import app
from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.writing import write

POLL = write(m.Poll(ven_id="00123")).replace(b"><", b">\n<")


def explain(file: Path, content: bytes) -> Result:
    file.write_bytes(content)
    return CliRunner().invoke(app, ["vtn", "20b", "explain", str(file)])


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_right_message_is_summed_up(tmp_path: Path) -> None:
    """B-GEN-013: what it is for, and every member."""
    done = explain(tmp_path / "a.xml", POLL)
    found = as_json(done)

    assert done.exit_code == 0
    assert (found["name"], found["purpose"]) == ("oadrPoll", "Ask for the next message.")
    assert found["content"] == ["ven_id: 00123"]


def test_a_wrong_message_is_explained_twice(tmp_path: Path) -> None:
    """1.3: path, line, what was expected and the code of the answer; then what the second validator says."""
    done = explain(tmp_path / "a.xml", POLL.replace(b"ei:venID", b"ei:venName"))
    found = as_json(done)

    assert done.exit_code == 7
    assert found["code"] == "454"
    assert found["problems"] == [
        {"path": "oadrPoll/venName", "line": 5, "problem": "venName is not expected here; expected venID"}
    ]
    assert "'ei:venID' expected" in found["second_opinion"][0]


def test_what_only_our_rules_refuse_is_said_to_be(tmp_path: Path) -> None:
    """B-GEN-006: the schema has nothing against an id of a thousand characters."""
    found = as_json(explain(tmp_path / "a.xml", POLL.replace(b"00123", b"x" * 1000)))

    assert "expected at most 255" in found["reason"]
    assert found["second_opinion"] == []


def test_what_is_no_message_is_400(tmp_path: Path) -> None:
    """B-TRN-004."""
    done = explain(tmp_path / "a.xml", b"<!DOCTYPE x>" + POLL)

    assert done.exit_code == 7
    assert as_json(done)["code"] == "400"
    assert "document type declaration" in as_json(done)["reason"]


def test_standard_input_and_files_that_are_none(tmp_path: Path) -> None:
    """A message can be piped; what cannot be read, or is far too long, is a mistake in the command (2)."""
    piped = CliRunner().invoke(app, ["vtn", "20b", "explain", "-"], input=POLL)
    missing = CliRunner().invoke(app, ["vtn", "20b", "explain", str(tmp_path / "none.xml")])
    long = explain(tmp_path / "long.xml", b" " * ((8 << 20) + 1))

    assert (piped.exit_code, missing.exit_code, long.exit_code) == (0, 2, 2)
    assert "cannot be read" in missing.stderr
    assert "longer than" in long.stderr


def test_a_terminal_is_told_in_sentences(tmp_path: Path, monkeypatch: Any) -> None:
    """Nothing from a message reaches a terminal as a control character."""
    monkeypatch.setattr("oadr.commands.vtn.openadr_20b.wants_json", lambda asked: asked)
    right = explain(tmp_path / "a.xml", write(m.Poll(ven_id="a\u202eb")))
    wrong = explain(tmp_path / "b.xml", POLL.replace(b"ei:venID", b"ei:venName"))

    assert right.stdout == "oadrPoll: Ask for the next message.\nIt is valid.\nven_id: a\\u202eb\n"
    assert "It is wrong, and a server answers it with response code 454:" in wrong.stdout
    assert "The second validator says:" in wrong.stdout
