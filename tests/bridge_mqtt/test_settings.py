"""Settings of the bridge: what is checked at once, and old names."""

from typing import Any

import pytest
from pydantic import ValidationError

from bridge_mqtt.settings import ApiSettings, Dispatch, PanelSettings, Settings
from openadr_profiles.fleet.power import Sign
from openadr_profiles.panel import DIALECTS, ENVELOPE, FLAT


def settings(**dispatch: Any) -> Dispatch:
    members = {"vtn": {"url": "http://127.0.0.1/openadr3/3.1.0"}, "unregistered": "accept", "dispatch": dispatch}
    return Settings.model_validate(members).dispatch


def test_a_dialect_has_a_longest_piece_of_its_own_unless_the_settings_say_another() -> None:
    """C9: what is longer is renewed, or told in pieces to panels that cannot restore."""
    assert (settings().piece_s(FLAT), settings().piece_s(ENVELOPE)) == (86_400, 60)
    assert settings(longest_piece_s={"envelope": "30"}).piece_s(ENVELOPE) == 30
    assert settings(longest_piece_s={"envelope": 30}).piece_s(FLAT) == 86_400


@pytest.mark.parametrize("name", list(DIALECTS))
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_piece_has_bounds(name: str, beyond: int) -> None:
    least, most = DIALECTS[name].piece_bounds_s
    seconds = most + 1 if beyond > 0 else least - 1
    with pytest.raises(ValidationError, match=f"{name}: expected {least} to {most} seconds, not {seconds}"):
        settings(longest_piece_s={name: seconds})


def test_the_names_of_before_are_read_and_remembered_for_a_warning() -> None:
    old = settings(flat_piece_s=3600, envelope_piece_s="30")
    assert (old.piece_s(FLAT), old.piece_s(ENVELOPE)) == (3600, 30)
    assert old.renamed == ("flat_piece_s", "envelope_piece_s")
    assert settings(longest_piece_s={"flat": 3600}).renamed == ()


def test_an_old_name_beside_the_new_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="flat_piece_s is the old name of longest_piece_s"):
        settings(flat_piece_s=3600, longest_piece_s={"flat": 60})


@pytest.mark.parametrize("name", ["round", "", "FLAT"])
def test_an_unknown_dialect_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValidationError, match="expected one of flat, envelope"):
        PanelSettings(id="panel-1", dialect=name)
    with pytest.raises(ValidationError, match="expected one of flat, envelope"):
        settings(longest_piece_s={name: 60})


def test_signs_go_by_the_name_of_the_program_and_a_list_of_ids_is_refused() -> None:
    """ENUM-020: a bridge that ignored the old list would shed when more use is asked for."""
    assert settings(program_signs={"peak": "positive_sheds"}).program_signs == {"peak": Sign.POSITIVE_SHEDS}
    assert settings(positive_sheds=[]).program_signs == {}
    with pytest.raises(ValidationError, match=r"positive_sheds is gone.*name them in program_signs, as"):
        settings(positive_sheds=["0a3f"])
    with pytest.raises(ValidationError, match=r"program_signs\.peak"):
        settings(program_signs={"peak": "up"})


def test_a_panel_with_a_least_above_its_most_is_refused() -> None:
    with pytest.raises(ValidationError, match="least_kw is 3: expected at most most_kw, which is 2"):
        PanelSettings.model_validate({"id": "panel-1", "least_kw": 3, "most_kw": 2})


@pytest.mark.parametrize(
    "members", [{"least_kw": -1}, {"most_kw": 0}, {"weight": 0}, {"most_kw": "NaN"}, {"capability_kw": 1e30}]
)
def test_limits_of_a_panel_are_bounded(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(members))):
        PanelSettings.model_validate({"id": "panel-1"} | members)


@pytest.mark.parametrize(
    ("vtn", "problem"),
    [
        ({"identity": "per_panel"}, "identity per_panel and credentials_file belong together"),
        ({"credentials_file": "lines"}, "identity per_panel and credentials_file belong together"),
        (
            {"identity": "per_panel", "credentials_file": "lines", "client_id": "a", "client_secret": "b"},
            "client_id is for identity gateway",
        ),
        ({"identity": "both"}, "'gateway' or 'per_panel'"),
        ({"concurrent": 0}, "greater than or equal to 1"),
    ],
)
def test_an_identity_has_the_credentials_that_belong_to_it(vtn: dict[str, str], problem: str) -> None:
    members = {"vtn": {"url": "http://127.0.0.1/openadr3/3.1.0"} | vtn, "unregistered": "accept"}
    with pytest.raises(ValidationError, match=problem):
        Settings.model_validate(members)


@pytest.mark.parametrize("name", ["token", "write_token"])
def test_a_short_token_is_refused_where_others_can_try_it(name: str) -> None:
    """As many characters as the secret of a client at the VTN; on loopback any."""
    enough = {"token": "correct-horse"}
    with pytest.raises(ValidationError, match=f"{name}: expected at least 12 characters"):
        ApiSettings.model_validate({"host": "0.0.0.0"} | enough | {name: "elevenchars"})
    ApiSettings.model_validate({"host": "0.0.0.0"} | enough | {name: "twelve-chars"})
    ApiSettings.model_validate({"host": "127.0.0.1", name: "abc"})
