"""A real SMTP server that a test can be told to refuse, and what it was given."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from email.message import Message
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.support.pki import Pki, server_context

USER, PASSWORD = "alarms@vtn.example", "the password of the mail server"


class MailServer:
    """Listens on a free port of 127.0.0.1. ``refusal`` is what it answers to recipients instead of taking them."""

    def __init__(self, pki: Pki, *, tls: str = "starttls", login: bool = True) -> None:
        self._context: ssl.SSLContext = server_context(pki.server())
        self._tls = tls
        self._login = login
        self._server: asyncio.Server | None = None
        self.refusal: str | None = None
        self.mails: list[Message] = []
        self.recipients: list[list[str]] = []
        self.logins = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen."""
        starttls, login = self._tls == "starttls", self._login
        options: dict[str, Any] = {"hostname": "mail.example", "timeout": 30, "enable_SMTPUTF8": False}
        if starttls:
            options |= {"tls_context": self._context, "require_starttls": True}
        if login:
            options |= {"authenticator": self._authenticate, "auth_required": starttls, "auth_require_tls": starttls}
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, **options), "127.0.0.1", 0, ssl=self._context if self._tls == "tls" else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802 (a name of the library)
        """Take a recipient, or not."""
        if self.refusal is not None:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802 (a name of the library)
        """Keep a message."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False) if not right else AuthResult(success=True)
