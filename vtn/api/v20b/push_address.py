"""Addresses that VENs of OpenADR 2.0b register to be pushed to: judged before they are stored and when called."""

from __future__ import annotations

import asyncio
from typing import Final

from yarl import URL

from vtn.api.v20b.services import PATH, Service20b
from vtn.notification_settings import Webhook
from vtn.notify.url_judge import Lookup, NotCallable, UrlJudge, system_lookup
from vtn.v20b_settings import V20bPush

_LONGEST: Final = 1000
_HTTPS_PORT: Final = 443


class PushAddresses:
    """Judges addresses of VENs by the rules of callback URLs, with the settings of push (B-REG-006)."""

    def __init__(self, settings: V20bPush, *, lookup: Lookup = system_lookup) -> None:
        rules = Webhook(allowed=settings.allowed, allow_private_addresses=settings.allow_private_addresses)
        self.judge: Final = UrlJudge(rules, lookup=lookup)
        self._lookup_s = settings.connect_s

    def problem(self, address: str) -> str | None:
        """Return why an address may not be called, as far as its text tells."""
        if len(address) > _LONGEST:
            return f"expected at most {_LONGEST} characters"
        found = self.judge.problem(address)
        if found is not None:
            return found
        return "a query is not allowed in it" if "?" in address else None

    async def problem_of_host(self, address: str) -> str | None:
        """Return why an address may not be called, its host looked up too."""
        found = self.problem(address)
        if found is not None:
            return found
        url = URL(address)
        try:
            async with asyncio.timeout(self._lookup_s):
                await self.judge.addresses(url.host or "", url.port or _HTTPS_PORT)
        except NotCallable:
            return "the address of its host is one that may not be called"
        except (OSError, UnicodeError, TimeoutError):
            return "its host cannot be found"
        return None


def url_of(address: str, service: Service20b) -> URL:
    """Return the URL of a service of a VEN."""
    return URL(f"{address.rstrip('/')}{PATH}{service}")
