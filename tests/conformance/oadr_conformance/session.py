"""State of a whole run: the VTN's address, the clients, their tokens, and the names the run gives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from multidict import CIMultiDict
from yarl import URL

from oadr_conformance.address import ReceiverAddress, plain_url
from oadr_conformance.callbacks import CallbackServer
from oadr_conformance.dialect import WireShape
from oadr_conformance.dialect301 import WireShape301
from oadr_conformance.errors import Misused, Refused, Skipped, Unreachable
from oadr_conformance.profile import DEFAULT, Profile
from oadr_conformance.wire import HttpClient, HttpExchange, Obj, Purpose, VtnAnswer

PREFIX = "conformance-"
WIRE_SHAPES: Final[Mapping[str, type[WireShape]]] = {one.version: one for one in (WireShape, WireShape301)}
"""Version of the standard -> how it is spoken."""
_UNTOLD_S = 60
"""Time, in seconds, for which a token is used whose lifetime the VTN does not state."""
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Credential:
    """A bearer token, or a client id and secret that fetch one."""

    token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Credential:
        """`ID:SECRET`, a bearer token, or `@FILE` with either.

        Raises:
            Misused: the text is empty or the file cannot be read.
        """
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise Misused(f"cannot read the credential file {text[1:]}: {error.strerror}") from error
        client_id, colon, secret = text.strip().partition(":")
        if not client_id or (colon and not secret):
            raise Misused("a credential is ID:SECRET, a bearer token, or @FILE with either")
        return cls(client_id=client_id, client_secret=secret) if colon else cls(token=client_id)

    @property
    def secrets(self) -> list[str]:
        """Return the texts that must not be printed."""
        return [text for text in (self.token, self.client_secret) if text]


@dataclass(frozen=True)
class Subject:
    """The VTN under test and the credentials it gave us."""

    url: str
    bl: Credential
    ven: Credential
    ven2: Credential
    stranger: Credential | None = None
    expired_token: str = ""
    callback_url: str = ""
    profile: Profile = DEFAULT
    standard: str = "3.1"
    """Version of the standard: 3.1 or 3.0.1."""
    verify_tls: bool = True
    ca_file: Path | None = None
    product: str = ""
    version: str = ""
    receiver: ReceiverAddress | None = None
    patience_s: float = 15.0
    """Time, in seconds, for a notification to arrive: the standard does not say how soon it does."""

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: options contradict each other, or one is not what it should be.
        """
        if self.ca_file and not self.verify_tls:
            raise Misused("an authority to trust and no verification at all contradict each other")
        schemes = ("https://",) if self.profile.require_https else ("https://", "http://")
        if self.callback_url and not self.callback_url.startswith(schemes):
            raise Misused(f"the callback URL begins with {' or '.join(schemes)}: {self.callback_url!r}")
        if self.receiver and not self.receiver.url.startswith(schemes):
            raise Misused(f"the receiver's URL begins with {' or '.join(schemes)}: {self.receiver.url!r}")
        if not 0 < self.patience_s <= 300:
            raise Misused(f"the patience with notifications is at most 300 s, and more than none: {self.patience_s:g}")

    @property
    def base(self) -> str:
        """Return the API prefix as given, without a slash at its end.

        Raises:
            Misused: it is none.
        """
        return plain_url(self.url, what="an API prefix")

    @property
    def prefixes(self) -> list[str]:
        """Return the possible prefixes of the API: the one given; for an origin, the usual one or its root."""
        base = self.base
        usual = WIRE_SHAPES[self.standard].usual_prefix
        return [base] if URL(base).path.strip("/") else [f"{base}{usual}", base]


class Session:
    """One run against one VTN."""

    def __init__(self, subject: Subject, wire: HttpClient) -> None:
        self.subject = subject
        self.wire = wire
        self.dialect = WIRE_SHAPES[subject.standard]()
        self.base = subject.prefixes[0]
        self.origin = str(URL(self.base).origin())
        self.tag = PREFIX + secrets.token_hex(3)
        self.client_ids: dict[str, str] = {}
        self.secrets: list[str] = []
        self.warnings: list[str] = []
        self.callbacks: CallbackServer | None = None
        """Callbacks that the VTN can call, while a run with a receiver is open."""
        self.token_url = f"{self.base}/auth/token"
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._numbers = count(1)
        self._requests = count(1)
        for credential in (subject.bl, subject.ven, subject.ven2, subject.stranger):
            self.secrets += credential.secrets if credential else []

    @property
    def profile(self) -> Profile:
        """Return the declared configuration of the VTN."""
        return self.subject.profile

    def move(self, base: str) -> None:
        """Look for the API at this prefix."""
        self.base = base
        self.token_url = f"{base}/auth/token"

    def name(self, kind: str = "x") -> str:
        """Return a name nobody else uses: recognisable as ours, unique over all runs."""
        return f"{self.tag}-{kind}-{next(self._numbers)}"

    def exchange(
        self, step: Purpose, actor: str, method: str, url: str, headers: Mapping[str, str], body: bytes, check: str = ""
    ) -> HttpExchange:
        """Return a request ready to be sent, with an id that a server's log can be searched for."""
        sent = CIMultiDict(headers)
        sent.setdefault("User-Agent", "oadr-conformance")
        sent.setdefault("X-Request-Id", request_id(step, check, next(self._requests)))
        return HttpExchange(step, actor, method, url, sent, body)

    async def fetch_token(self, credential: Credential, scope: str = "", step: Purpose = Purpose.PREPARE) -> VtnAnswer:
        """Ask the token endpoint for a token of this client, with fewer scopes if `scope` names them."""
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": credential.client_secret,
        }
        if scope:
            form["scope"] = scope
        exchange = self.exchange(
            step, credential.client_id, "POST", self.token_url, {"Content-Type": _FORM}, urlencode(form).encode()
        )
        answer = await self.wire.send(exchange)
        if answer.status == 200:
            self.secrets.append(str(answer.object().get("access_token")))
        return answer

    async def token(self, credential: Credential, scope: str = "") -> str:
        """Return a valid token of this client.

        Raises:
            Refused: the token endpoint does not accept the client.
            Skipped: the client has no secret to ask for `scope` with, may not have it, or gets other scopes, which
                RFC 6749 section 3.3 allows.
        """
        if credential.token:
            if scope:
                raise Skipped("only a client id and secret can ask for a token with other scopes")
            return credential.token
        cached, until = self._tokens.get((credential.client_id, scope), ("", 0.0))
        if until > time.monotonic():
            return cached
        answer = await self.fetch_token(credential, scope)
        if answer.status != 200:
            if scope:
                raise Skipped(f"the VTN gives {credential.client_id} no token for scope {scope!r}")
            what = f"{self.token_url} gives client {credential.client_id} no token: {answer.status} {answer.text[:200]}"
            # RFC 6749 refuses with one of these; anything else is no token endpoint, or none that works.
            raise Refused(what) if answer.status in {400, 401, 403} else Unreachable(what)
        body = answer.object()
        token = str(body.get("access_token", ""))
        if not token:
            raise answer.fail("an access_token", body)
        granted = body.get("scope")
        if scope and isinstance(granted, str) and set(granted.split()) - set(scope.split()):
            raise Skipped(f"the VTN gives {credential.client_id} the scopes {granted!r} where {scope!r} is asked for")
        lifetime_s = float(body.get("expires_in") or _UNTOLD_S)
        self._tokens[credential.client_id, scope] = token, time.monotonic() + lifetime_s * 0.9 - 1
        return token


def request_id(step: Purpose, check: str, number: int) -> str:
    """`conformance.check.PAGE-008.17`: the second part is the step."""
    safe = "".join(character if character.isalnum() or character in "-_" else "_" for character in check)
    return f"conformance.{step}.{safe or '-'}.{number}"


def is_ours(obj: Obj, name: str) -> bool:
    """Return True if an object has a name this suite gave, in this run or an earlier one."""
    return str(obj.get(name, "")).startswith(PREFIX)
