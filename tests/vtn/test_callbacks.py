"""Callback URLs: only those that do not lead into the server's own network may be called."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.support.net import free_port
from openadr_profiles.v31 import Invalid, ObjectOperation
from vtn.notification_settings import Webhook
from vtn.notify.callback import Callbacks
from vtn.notify.url_judge import Lookup, UrlJudge, system_lookup


def judged(settings: Webhook, lookup: Lookup = system_lookup) -> Callbacks:
    """Callbacks of these settings."""
    return Callbacks(UrlJudge(settings, lookup=lookup))


def entry(url: str) -> ObjectOperation:
    """An entry with this callback."""
    return ObjectOperation(objects=(), operations=(), callback_url=url)


def problem(url: str, **settings: Any) -> str | None:
    """Return the error in the text of a URL; None if there is none."""
    try:
        judged(Webhook(**settings)).check([entry(url)])
    except Invalid as error:
        return error.problem
    return None


def found_at(*addresses: str) -> Any:
    """A name service that knows one answer."""

    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    return lookup


PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_no_public_host_are_refused(address: str) -> None:
    """WEBHOOK-023."""
    host = f"[{address}]" if ":" in address else address

    assert problem(f"https://{host}/hook") == "the address is one that callbacks may not go to"
    assert problem(f"https://{host}/hook", allow_private_addresses=True) is None


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("verify_echo", [True, False])
def test_names_that_lead_to_such_addresses_are_refused(address: str, verify_echo: bool) -> None:
    """WEBHOOK-023, WEBHOOK-024: even when one of several addresses is public."""
    callbacks = judged(Webhook(verify_echo=verify_echo), lookup=found_at("8.8.8.8", address))

    with pytest.raises(Invalid, match="is at an address that callbacks may not go to"):
        asyncio.run(callbacks.verify([entry("https://inside.example/hook")]))


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0", "1.2.3", "1.2.3.4.5"])
def test_numbers_that_are_no_usual_address_are_refused(host: str) -> None:
    """WEBHOOK-023: the network would read some of them as 127.0.0.1."""
    assert problem(f"https://{host}/hook") is not None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://receiver.example/hook", "https"),
        ("ftp://receiver.example/hook", "https"),
        ("https:///hook", "host"),
        ("https:receiver.example", "host"),
        ("https://user@receiver.example/hook", "user or password"),
        ("https://user:word@receiver.example/hook", "user or password"),
        ("https://:word@receiver.example/hook", "user or password"),
        ("https://receiver.example/hook#part", "fragment"),
        ("https://receiver.example/hook#", "fragment"),
        ("https://receiver.example:22/hook", "port 22"),
        ("https://receiver.example:6379/hook", "port 6379"),
        ("https://receiver.example:99999/hook", "URL"),
        ("https://[::1/hook", "URL"),
    ],
)
def test_urls_that_are_refused_as_they_are_written(url: str, words: str) -> None:
    """WEBHOOK-001, WEBHOOK-025."""
    found = problem(url)

    assert found is not None
    assert words in found


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example/hook",
        "https://receiver.example:8443/hook?key=a%20b&x=1",
        "https://8.8.8.8/hook",
        "https://[2606:4700::1111]/hook",
        "https://bücher.example/hook",
    ],
)
def test_urls_that_are_accepted(url: str) -> None:
    """WEBHOOK-001."""
    assert problem(url) is None


def test_http_is_accepted_when_the_operator_says_so() -> None:
    """Requirements 0.2, COMPAT-035; other schemes are not."""
    assert problem("http://receiver.example/hook", require_https=False) is None
    assert problem("ftp://receiver.example/hook", require_https=False) is not None


def test_single_hosts_and_networks_can_be_opened() -> None:
    """WEBHOOK-026: and only those."""
    allowed = {"allowed": ["10.1.0.0/16", "192.168.7.7", "panel.lan"]}

    assert problem("https://10.1.2.3/", **allowed) is None
    assert problem("https://192.168.7.7/", **allowed) is None
    assert problem("https://10.2.0.1/", **allowed) is not None
    assert problem("https://192.168.7.8/", **allowed) is not None
    callbacks = judged(Webhook(verify_echo=False, **allowed), lookup=found_at("192.168.9.9"))
    asyncio.run(callbacks.verify([entry("https://Panel.LAN/")]))
    with pytest.raises(Invalid):
        asyncio.run(callbacks.verify([entry("https://other.lan/")]))


def test_a_denied_port_can_be_opened() -> None:
    """WEBHOOK-025: the list is the operator's."""
    assert problem("https://receiver.example:22/", denied_ports=[23]) is None


def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    """WEBHOOK-024: a name that changes its address after it was judged is not followed, for it is asked once."""
    asked = []

    async def changing(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) > 1 else ["127.0.0.1"]

    callbacks = judged(Webhook(), lookup=changing)
    with pytest.raises(Invalid, match="may not go to"):
        asyncio.run(callbacks.verify([entry(f"https://rebinding.example:{free_port()}/")]))
    assert asked == ["rebinding.example"]


def test_a_name_that_is_unknown_today_is_refused_only_if_it_must_echo() -> None:
    """Requirements 0.2: a suite registers addresses that nobody answers at."""

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    asyncio.run(judged(Webhook(verify_echo=False), lookup=unknown).verify([entry("https://example.com/callback")]))
    with pytest.raises(Invalid, match="cannot be reached"):
        asyncio.run(judged(Webhook(), lookup=unknown).verify([entry("https://example.com/callback")]))


def test_a_name_service_that_does_not_answer_holds_up_lookups_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and secrets are read in the threads of the loop."""
    answered = threading.Event()

    def slow(*_: object, **__: object) -> list[Any]:
        assert answered.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    async def look_and_work() -> Sequence[str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        lookup = asyncio.create_task(system_lookup("slow.example", 443))
        try:
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 30) == "done"
            assert not lookup.done()
        finally:
            answered.set()
        return await lookup

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert asyncio.run(look_and_work()) == ["8.8.8.8"]
