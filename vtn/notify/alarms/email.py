"""Tell of alarms by e-mail: many in one message, sent by the library of the language in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from vtn.alarm_settings import AlarmEmail
from vtn.notify.alarms.channel import NotTold, line
from vtn.store.console.alarms import AlarmMessage

_LONGEST_SUBJECT: Final = 150
_POLICY: Final = SMTP.clone(max_line_length=200)
"""Lines of e-mails may be longer than those that people wrap: a subject stays in one."""


class AlarmEmailChannel:
    """Send messages to the addresses of the settings. ``about`` names the VTN in each, as its address does."""

    name = "email"

    def __init__(self, settings: AlarmEmail, now: Callable[[], datetime], *, about: Callable[[], str]) -> None:
        self._settings = settings
        self._now = now
        self._about = about

    async def tell(self, messages: Sequence[AlarmMessage]) -> None:
        """Send messages in one e-mail; raises NotTold unless the server takes it for all recipients."""
        mail = self._mail(messages)
        try:
            await asyncio.to_thread(self._send, mail)
        except smtplib.SMTPRecipientsRefused as error:
            raise NotTold(f"the server refuses {', '.join(sorted(error.recipients))}") from None
        except smtplib.SMTPAuthenticationError as error:
            raise NotTold(f"the server refuses user and password ({error.smtp_code})") from None
        except smtplib.SMTPNotSupportedError as error:
            raise NotTold(f"the server does not offer what the settings ask for: {error}") from None
        except smtplib.SMTPResponseException as error:
            raise NotTold(f"the server answered {error.smtp_code}") from None
        except ssl.SSLError:
            raise NotTold(
                "TLS failed: the server's certificate is not trusted, or it speaks no TLS at this port"
            ) from None
        except TimeoutError:
            raise NotTold("the server did not answer in time") from None
        except (smtplib.SMTPException, OSError):
            raise NotTold("the server cannot be reached, or hung up") from None

    async def close(self) -> None:
        """Close connections: none is kept."""

    def _mail(self, messages: Sequence[AlarmMessage]) -> EmailMessage:
        lines = [line(each) for each in messages]
        mail = EmailMessage(policy=_POLICY)
        mail["From"], mail["To"] = self._settings.sender, ", ".join(self._settings.to)
        mail["Date"] = format_datetime(self._now())
        mail["Subject"] = f"OpenADR VTN: {_summary(messages)}"[:_LONGEST_SUBJECT]
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join([*lines, "", f"VTN {self._about()}"]))
        return mail

    def _send(self, mail: EmailMessage) -> None:
        settings = self._settings
        with self._connected() as server:
            if settings.tls == "starttls":
                server.starttls(context=self._context())
            if settings.user is not None and settings.password is not None:
                server.login(settings.user, settings.password.get_secret_value())
            if refused := server.send_message(mail):
                raise smtplib.SMTPRecipientsRefused(refused)

    def _connected(self) -> smtplib.SMTP:
        host, port, timeout_s = self._settings.host, self._settings.port, self._settings.timeout_s
        if self._settings.tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=self._context())
        return smtplib.SMTP(host, port, timeout=timeout_s)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._settings.ca_file is not None:
            context.load_verify_locations(self._settings.ca_file)
        return context


def _summary(messages: Sequence[AlarmMessage]) -> str:
    """Return how many alarms were raised and cleared, and the line of the only one."""
    if len(messages) == 1:
        return " ".join(line(messages[0]).split())
    raised = sum(1 for each in messages if each.alarm is not None and not each.is_clear)
    cleared = sum(1 for each in messages if each.is_clear)
    return f"{raised} raised, {cleared} cleared"
