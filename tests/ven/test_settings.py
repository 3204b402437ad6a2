from typing import Any

import pytest
from pydantic import ValidationError

from openadr_client.clock import ManualClock
from ven.settings import VenSettings

GIVEN: dict[str, Any] = {
    "vtn": {"url": "https://vtn.example/openadr3/3.1.0/", "client_id": "home", "client_secret": "s3cret"},
    "ven_name": "home",
    "circuits": [{"id": "ev", "breaker_amps": 32, "rated_kw": "7.2", "shed_share": 1}],
}


def test_few_settings_are_enough() -> None:
    settings = VenSettings.model_validate(GIVEN)
    assert settings.vtn.url == "https://vtn.example/openadr3/3.1.0"
    assert settings.reported_as == "home"
    assert repr(settings.vtn.client(ManualClock())) == (
        "VtnClient(base_url='https://vtn.example/openadr3/3.1.0', client_id='home')"
    )


def test_secrets_do_not_show() -> None:
    """VENCLIENT-026."""
    driver = {"kind": "mqtt", "options": {"broker": {"username": "ven", "password": "s3cret-of-the-broker"}}}
    assert "s3cret" not in repr(VenSettings.model_validate(GIVEN | {"driver": driver}))


def test_dumped_settings_can_be_read_again() -> None:
    settings = VenSettings.model_validate(GIVEN | {"opt": {"quiet_hours": ["22:00-06:00"]}})
    assert VenSettings.model_validate(settings.model_dump(exclude_unset=True)) == settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vtn": {"url": "vtn.example"}}, r"vtn\.url"),
        ({"vtn": {"url": "https://v", "client_id": "a"}}, "client_secret is missing"),
        ({"vtn": {"url": "https://v", "client_secret": "a"}}, "client_id is missing"),
        ({"vtn": {"url": "https://v", "client_id": "a", "client_secret": "b", "token": "c"}}, "not both"),
        ({"vtn": {"url": "https://v", "client_key": "k.pem"}}, "client_key needs client_certificate"),
        ({"circuits": []}, "at least 1 item"),
        ({"circuits": GIVEN["circuits"] * 2}, "ev is given more than once"),
        ({"circuits": [{**GIVEN["circuits"][0], "shed_share": 2}]}, r"circuits\.0\.shed_share"),
        ({"circuits": [{**GIVEN["circuits"][0], "critical": True}]}, "ev is critical and is never shed"),
        ({"poll": 5}, "Extra inputs"),
        ({"sample_s": 0}, "greater than 0"),
        ({"shedding": {"simple_shares": [1, 2, 3]}}, r"simple_shares\.1"),
        ({"shedding": {"storage": ["nowhere"]}}, "shedding.storage names nowhere, which is no circuit"),
        ({"shedding": {"price_levels": [2, 1]}}, r"price_levels\n.*expected rising numbers"),
        ({"shedding": {"ghg_levels": [1, 2, 3, 4]}}, "ghg_levels"),
        ({"shedding": {"price_currency": "euro"}}, "price_currency"),
        ({"shedding": {"alert_levels": {"ALERT_FLOOD": 1}}}, "ALERT_FLOOD is no type of alert: expected one of ALERT_"),
        ({"shedding": {"alert_levels": {"ALERT_FIRE": 4}}}, r"alert_levels\.ALERT_FIRE"),
    ],
)
def test_mistakes_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VenSettings.model_validate(GIVEN | wrong)
