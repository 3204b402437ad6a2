"""The routes on which an MQTT broker asks who may connect and who may do what; an extension of ours (MQTT-016).

``/broker/emqx/authn`` and ``…/authz`` are in the shapes of EMQX's HTTP authenticator and authoriser. ``/broker/user``,
``/broker/superuser`` and ``/broker/acl`` are those of mosquitto-go-auth, whose answer is the status; NanoMQ's fit too.
They are for the broker alone: it shows a secret, or it is on this host.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.api.collection import OpenRoute
from vtn.errors import Malformed, Unauthenticated
from vtn.http import body
from vtn.http.responses import MEDIA_TYPE
from vtn.notification_settings import MqttAccess
from vtn.notify.broker_access.callbacks import LONGEST, Admission, Doorkeeper

_HEADER: Final = "X-Broker-Secret"
_PARAMETER: Final = "secret"
_MOST_BYTES: Final = 4 * LONGEST
_NO_STORE: Final = {"Cache-Control": "no-store"}
_READ, _WRITE, _READ_WRITE, _SUBSCRIBE = "1", "2", "3", "4"
_OF_NANOMQ: Final = {"1": _SUBSCRIBE, "2": _WRITE}


def routes(access: MqttAccess, doorkeeper: Doorkeeper) -> tuple[OpenRoute, ...]:
    """Return the routes; each refuses whoever is not the broker."""
    broker = _Broker(access, doorkeeper)
    return tuple(
        OpenRoute("POST", f"/broker/{path}", broker.only(handler))
        for path, handler in (
            ("emqx/authn", broker.emqx_authn),
            ("emqx/authz", broker.emqx_authz),
            ("user", broker.user),
            ("superuser", broker.superuser),
            ("acl", broker.acl),
        )
    )


class _Broker:
    """The questions of a broker, and their answers."""

    def __init__(self, access: MqttAccess, doorkeeper: Doorkeeper) -> None:
        self._secret = access.callback_secret
        self._doorkeeper = doorkeeper

    def only(
        self, handler: Callable[[dict[str, str]], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return a handler that answers the broker and nobody else."""

        async def handle(request: web.Request) -> web.Response:
            self._check(request)
            async with body.Body(request, known=False, packed=False, most=_MOST_BYTES) as raw:
                asked = _asked(request.content_type, raw)
            return await handler(asked)

        return handle

    async def emqx_authn(self, asked: dict[str, str]) -> web.Response:
        """Answer EMQX whether a client may connect, and when it has to come back with another token."""
        admission = await self._admission(asked)
        found: dict[str, Any] = {"result": "allow" if admission.is_admitted else "deny", "is_superuser": False}
        if admission.expires_at is not None:
            found["expire_at"] = int(admission.expires_at.timestamp())
        return _json(found)

    async def emqx_authz(self, asked: dict[str, str]) -> web.Response:
        """Answer EMQX whether a client may subscribe or publish; anything but a clear answer would let it decide."""
        user, topic, action = asked.get("username", ""), asked.get("topic", ""), asked.get("action")
        may = (action == "subscribe" and await self._doorkeeper.may_subscribe(user, topic)) or (
            action == "publish" and await self._doorkeeper.may_publish(user, topic)
        )
        return _json({"result": "allow" if may else "deny"})

    async def user(self, asked: dict[str, str]) -> web.Response:
        """Answer mosquitto-go-auth, or NanoMQ, whether a client may connect."""
        return _status((await self._admission(asked)).is_admitted)

    async def superuser(self, asked: dict[str, str]) -> web.Response:
        """Answer that nobody is a superuser."""
        return _status(False)

    async def acl(self, asked: dict[str, str]) -> web.Response:
        """Answer whether a client may do something to a topic: ``acc`` of mosquitto-go-auth says what, or ``access``.

        The latter is NanoMQ's, which counts otherwise.
        """
        user, topic = asked.get("username", ""), asked.get("topic", "")
        access = asked.get("acc") or _OF_NANOMQ.get(asked.get("access", ""))
        door = self._doorkeeper
        if access == _SUBSCRIBE:
            return _status(await door.may_subscribe(user, topic))
        reads = access not in {_READ, _READ_WRITE} or await door.may_read(user, topic)
        writes = access not in {_WRITE, _READ_WRITE} or await door.may_publish(user, topic)
        return _status(access in {_READ, _WRITE, _READ_WRITE} and reads and writes)

    async def _admission(self, asked: dict[str, str]) -> Admission:
        return await self._doorkeeper.connects(asked.get("username", ""), asked.get("password", ""))

    def _check(self, request: web.Request) -> None:
        if self._secret is None:
            if not _is_here(request.remote):
                raise Unauthenticated("only a broker on this host may ask; from elsewhere it shows a secret")
            return
        shown = request.headers.get(_HEADER) or request.query.get(_PARAMETER, "")
        if not hmac.compare_digest(shown.encode(errors="surrogateescape"), self._secret.get_secret_value().encode()):
            raise Unauthenticated(f"a broker shows its secret in the header {_HEADER} or the parameter {_PARAMETER}")


def _asked(content_type: str, raw: bytes) -> dict[str, str]:
    """Return the texts of a JSON object or a form; numbers become texts, everything else is left out.

    So are texts with the character NUL, which no name and no topic of MQTT has.
    """
    try:
        if content_type == "application/x-www-form-urlencoded":
            found: dict[str, Any] = dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=50))
        else:
            found = msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        raise Malformed("expected a form or a JSON object such as {username, password}") from None
    texts = {name: str(value) for name, value in found.items() if isinstance(value, str | int)}
    return {name: text for name, text in texts.items() if "\x00" not in text}


def _is_here(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address).is_loopback
    except ValueError:
        return False


def _json(found: object) -> web.Response:
    return web.Response(body=encode(found), content_type=MEDIA_TYPE, headers=_NO_STORE)


def _status(allowed: bool) -> web.Response:
    """Return an answer whose status says it, and its content too, for whoever was set to read that."""
    found = {"ok": allowed, "error": "" if allowed else "not allowed"}
    return web.Response(body=encode(found), status=200 if allowed else 403, content_type=MEDIA_TYPE, headers=_NO_STORE)
