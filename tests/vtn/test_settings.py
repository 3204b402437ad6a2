"""Settings: what is accepted, and in which words the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vtn.notification_settings import Mqtt
from vtn.settings import DatabaseSettings, Settings


def with_access(**access: Any) -> dict[str, Any]:
    """Settings with these for the access to a broker."""
    return {"mqtt": {"url": "mqtt://localhost", "access": access}}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"host": "0.0.0.0"}, "can be reached by others"),
        ({"host": "vtn.example"}, "can be reached by others"),
        ({"behind_proxy": True}, "public_url"),
        ({"tls": {"cert": "c", "key": "k"}, "behind_proxy": True, "public_url": "https://x"}, "exclude each other"),
        ({"tls": {"cert": "c"}}, "Field required"),
        ({"public_url": "vtn.example"}, "expected an address"),
        ({"public_url": "https://vtn.example/a b"}, "expected a path"),
        ({"prefixes": ["openadr3"]}, "expected paths"),
        ({"prefixes": ["/openadr3/"]}, "expected paths"),
        ({"prefixes": []}, "at least 1 item"),
        ({"port": 70000}, "less than or equal to 65535"),
        ({"unknown": 1}, "Extra inputs"),
        ({"auth": {"token_lifetime_s": 60}}, "greater than or equal to 120"),
        ({"auth": {"signing_key": "short"}}, "at least 32 bytes"),
        ({"auth": {"invalid_token_status": 404}}, "Input should be 401 or 403"),
        ({"auth": {"revocation_poll_s": 61}}, "less than or equal to 60"),
        ({"mqtt": {}}, "Field required"),
        ({"mqtt": {"url": "broker.example"}}, "expected a URL such as mqtt://broker.example"),
        ({"mqtt": {"url": "https://broker.example"}}, "expected a URL such as mqtt://broker.example"),
        ({"mqtt": {"url": "wss://broker.example"}}, "expected a URL such as mqtt://broker.example"),
        ({"mqtt": {"url": "mqtts://broker.example/x"}}, "without a path"),
        ({"mqtt": {"url": "mqtts://broker.example:x"}}, "expected a URL such as"),
        ({"mqtt": {"url": "mqtts://u:p@broker.example"}}, "user and password are for them"),
        ({"mqtt": {"url": "mqtt://broker.example"}}, "is without TLS"),
        ({"mqtt": {"url": "mqtts://b", "public_urls": ["ws://broker.example"]}}, "is without TLS"),
        ({"mqtt": {"url": "mqtts://b", "public_urls": ["amqp://broker.example"]}}, "expected a URL such as mqtts"),
        ({"mqtt": {"url": "mqtts://b", "password": "p"}}, "password is given without user"),
        (with_access(admin_user="a", admin_password="p"), "are for dynamic_security, which is off"),
        (with_access(callback_secret="a secret of a broker"), "callback_secret is for callbacks, which are off"),
        (with_access(client_ca_cert="c"), "are for the method CERTIFICATE, not OAUTH2_BEARER_TOKEN"),
        (
            with_access(method="ACCOUNT", dynamic_security=True, client_ca_key="k"),
            "are for the method CERTIFICATE, not ACCOUNT",
        ),
        (with_access(callbacks=True), "access.callbacks needs user and password"),
        (
            {"v20b": {"cert": "c", "key": "k", "ca": "a"}, "privacy": {"implicit_ven_id_target": False}},
            "expected v20b.telemetry = false",
        ),
        ({"websocket": {"max_clients": 0}}, "greater than or equal to 1"),
        ({"mqtt": {"url": "mqtts://b", "cert": "c"}}, "cert and key belong together"),
        ({"mqtt": {"url": "mqtt://localhost", "ca_file": "c"}}, "are for mqtts"),
        ({"mqtt": {"url": "mqtts://b", "prefix": "openadr3"}}, "words with a / after each"),
        ({"mqtt": {"url": "mqtts://b", "prefix": "a/+/"}}, "words with a / after each"),
        ({"mqtt": {"url": "mqtts://b", "prefix": "$SYS/"}}, "words with a / after each"),
        ({"database": {"url": "mysql://x/y"}}, "sqlite or postgresql, not of mysql"),
        ({"database": {"url": "nonsense"}}, "expected sqlite:///FILE"),
        ({"database": {"url": "sqlite://"}}, "in memory would be lost"),
        ({"database": {"url": "sqlite:///:memory:"}}, "in memory would be lost"),
    ],
)
def test_a_mistake_is_explained(members: dict[str, Any], message: str) -> None:
    """TLS-001, AUTH-034, COMPAT-009: plain HTTP only where others cannot reach it, or a proxy stands in front."""
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(members)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"host": "::1"},
        {"mqtt": {"url": "mqtt://127.0.0.1"}},
        {"mqtt": {"url": "mqtt://broker.example", "insecure": True, "public_urls": ["ws://broker.example/mqtt"]}},
        {"mqtt": {"url": "mqtts://broker.example", "prefix": "", "public_urls": ["mqtt://[::1]:1883"]}},
        {"host": "localhost"},
        {"host": "127.8.8.8"},
        {"host": "0.0.0.0", "insecure_http": True},
        {"host": "0.0.0.0", "tls": {"cert": "c", "key": "k"}},
        {"host": "0.0.0.0", "behind_proxy": True, "public_url": "https://vtn.example:8443/"},
    ],
)
def test_settings_that_are_good(members: dict[str, Any]) -> None:
    """TLS-001."""
    assert Settings.model_validate(members)


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///file", "sqlite+aiosqlite:///file"),
        ("sqlite+aiosqlite:////abs/file", "sqlite+aiosqlite:////abs/file"),
        ("postgres://u:p@h/n", "postgresql+asyncpg://u:p@h/n"),
        ("postgresql://u:p%40@h:1/n", "postgresql+asyncpg://u:p%40@h:1/n"),
    ],
)
def test_the_usual_spellings_of_databases_are_understood(given: str, driver: str) -> None:
    """And nobody needs to know the names of drivers."""
    assert DatabaseSettings.model_validate({"url": given}).url.get_secret_value() == driver


def test_secrets_are_not_shown() -> None:
    """In logs or error messages."""
    settings = Settings.model_validate({"database": {"url": "postgresql://u:geheim@h/n"}})

    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "whole", "address"),
    [
        ("mqtt://localhost", "mqtt://localhost:1883", ("localhost", 1883)),
        ("mqtts://broker.example/", "mqtts://broker.example:8883", ("broker.example", 8883)),
        ("mqtts://[2001:db8::1]:443", "mqtts://[2001:db8::1]:443", ("2001:db8::1", 443)),
    ],
)
def test_where_the_broker_is(url: str, whole: str, address: tuple[str, int]) -> None:
    """MQTT-003: the usual port is filled in, so that clients need not know it."""
    mqtt = Mqtt(url=url)

    assert (mqtt.url, mqtt.uris, mqtt.address) == (whole, (whole,), address)
