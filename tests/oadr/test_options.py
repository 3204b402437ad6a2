"""A value that an option refuses is refused in our words, and the option is named."""

import re

import pytest
from typer.testing import CliRunner

from oadr.commands.event import app as event
from oadr.demo.command import app as demo


@pytest.mark.parametrize(
    ("app", "words", "option", "said"),
    [
        (event, ["create", "--shed", "3"], "--shed", "'3' has no unit"),
        (event, ["create", "--limit", "-3kW"], "--limit", "without a sign"),
        (event, ["create", "--shed", "3kW", "--start", "soon"], "--start", "'soon'"),
        (event, ["create", "--shed", "3kW", "--for", "long"], "--for", "'long'"),
        (event, ["update", "x", "--start", "soon"], "--start", "'soon'"),
        (demo, ["--for", "long"], "--for", "'long'"),
    ],
)
def test_a_value_is_refused_in_our_own_words(app: object, words: list[str], option: str, said: str) -> None:
    """Exit code 2, the option, the problem; nothing of the library that found it."""
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})  # type: ignore[arg-type] # all are typer applications

    message = re.sub(r"\s+", " ", done.stderr)
    assert done.exit_code == 2
    assert option in message
    assert said in message
    assert "Value error" not in message
