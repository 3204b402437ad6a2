"""Settings: flag > environment > file > default, all mistakes reported together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from oadr.config import ConfigError, load
from vtn.settings import Settings


class Listen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = "127.0.0.1"
    port: int = 8080


class Program(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    listen: Listen = Listen()
    secret: SecretStr
    names: list[str] = []


def mistakes_of(**arguments: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(Program, prefix="OADR_T_", **arguments)  # type: ignore[arg-type] # each test names what it needs
    return caught.value.mistakes


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    file = tmp_path / "program.toml"
    file.write_text('secret = "from file"\nnames = ["file"]\n[listen]\nhost = "file.example"\nport = 1\n')
    environment = {"OADR_T_LISTEN__HOST": "environment.example", "OADR_T_LISTEN__PORT": "2", "PATH": "/bin"}

    settings = load(Program, prefix="OADR_T_", file=file, environment=environment, flags={"listen.port": 3})

    assert settings == Program(
        listen=Listen(host="environment.example", port=3), secret=SecretStr("from file"), names=["file"]
    )


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    settings = load(
        Program, prefix="OADR_T_", environment={"OADR_T_SECRET": "s"}, flags={"listen.port": None, "names": None}
    )
    assert settings.listen == Listen()


@pytest.mark.parametrize("variable", ["OADR_T_SECRET_FILE", "oadr_t_secret_file"])
def test_a_secret_is_read_from_the_file_a_variable_names(tmp_path: Path, variable: str) -> None:
    (tmp_path / "secret").write_text("hush\n")
    settings = load(Program, prefix="OADR_T_", environment={variable: str(tmp_path / "secret")})
    assert settings.secret.get_secret_value() == "hush"


def test_a_nested_value_is_read_from_the_file_a_variable_names(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("inner.example\n")
    environment = {"OADR_T_SECRET": "s", "OADR_T_LISTEN__HOST_FILE": str(tmp_path / "host")}
    assert load(Program, prefix="OADR_T_", environment=environment).listen.host == "inner.example"


def test_a_list_in_the_environment_is_json() -> None:
    environment = {"OADR_T_SECRET": "s", "OADR_T_NAMES": '["a", "b"]'}
    assert load(Program, prefix="OADR_T_", environment=environment).names == ["a", "b"]
    environment["OADR_T_NAMES"] = "a,b"
    assert mistakes_of(environment=environment) == [
        'OADR_T_NAMES: not readable; lists and tables are JSON, as ["a", "b"]'
    ]


def test_all_mistakes_are_reported_together() -> None:
    mistakes = mistakes_of(
        environment={"OADR_T_LISTEN__PORT": "many", "OADR_T_LISTEN__PROT": "1"}, flags={"colour": "red"}
    )
    assert len(mistakes) == 4
    assert "secret: missing; set it in the file, as OADR_T_SECRET, or as a flag" in mistakes
    assert "listen.prot: no such setting; did you mean port?" in mistakes
    assert "colour: no such setting" in mistakes
    assert any(mistake.startswith("listen.port:") and "'many'" in mistake for mistake in mistakes)


def test_an_unknown_variable_with_our_prefix_is_a_mistake() -> None:
    (mistake,) = mistakes_of(environment={"OADR_T_SECRE": "s"})
    assert mistake == "OADR_T_SECRE: no such setting; known are listen, names, secret"


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    (missing,) = mistakes_of(file=tmp_path / "none.toml", environment={"OADR_T_SECRET": "s"})
    assert missing.startswith(f"{tmp_path}/none.toml: cannot be read")
    broken = tmp_path / "broken.toml"
    broken.write_text("secret = \n")
    (mistake,) = mistakes_of(file=broken, environment={})
    assert mistake.startswith(f"{broken}: not readable TOML")


def test_a_secret_that_is_wrong_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "program.toml"
    file.write_text("secret = 4711\n")
    (mistake,) = mistakes_of(file=file, environment={})
    assert "4711" not in mistake


@pytest.mark.parametrize(
    "environment",
    [
        {"OADR_VTN_DATABASE__URL": "mysql://user:canary@host/name"},
        {"OADR_VTN_DATABASE__URL": "canary"},
        {"OADR_VTN_AUTH__SIGNING_KEY": "canary"},
        {"OADR_VTN_AUTH__SIGNING_KEY": "x" * 40, "OADR_VTN_AUTH__PREVIOUS_SIGNING_KEYS": '["canary"]'},
    ],
)
def test_a_secret_that_is_not_called_so_is_never_shown_either(environment: dict[str, str]) -> None:
    """The URL of a database has a password in it, and a key that is too short is a key."""
    with pytest.raises(ConfigError) as refused:
        load(Settings, prefix="OADR_VTN_", environment=environment)

    assert "canary" not in str(refused.value)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    amps: int


class _Server(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str
    port: int = 1


class _Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    server: _Server
    parts: list[_Part] = []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nurl = 'x'\nprot = 2", "server.prot: no such setting; did you mean port?"),
        ("", "server.url: missing; set it in the file, as OADR_Y_SERVER__URL, or as a flag"),
        ("[server]\nurl = 'x'\n[[parts]]\nid = 'ev'\namps = 'many'", "parts[ev].amps: "),
    ],
)
def test_a_mistake_is_named_as_its_owner_knows_it(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(_Whole, prefix="OADR_Y_", file=file, environment={})
    assert said in str(caught.value)
