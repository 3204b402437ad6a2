"""Tell of alarms by a POST of JSON, with the rules and the signature of callback URLs (WEBHOOK-023, WEBHOOK-029)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import aiohttp
from yarl import URL

from vtn.alarm_settings import AlarmWebhook
from vtn.notify.alarms.channel import NotTold, document
from vtn.notify.signature import WebhookSigner
from vtn.notify.url_judge import NotCallable, UrlJudge
from vtn.store.console.alarms import AlarmMessage

SIGNED_FOR: Final = "alarms"
"""The client id that signatures are made for; no client has its secret unless it is called so."""


class AlarmWebhookChannel:
    """Send messages to one URL, many in one body."""

    name = "webhook"

    def __init__(
        self, settings: AlarmWebhook, judge: UrlJudge, now: Callable[[], datetime], signer: WebhookSigner | None
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._now = now
        self._signer = signer

    async def tell(self, messages: Sequence[AlarmMessage]) -> None:
        """Send messages in one POST, in the order they were noted; raises NotTold unless it is answered 2xx."""
        url = self._settings.url
        if problem := self._judge.problem(url):
            raise NotTold(f"its URL may not be called: {problem}")
        body = json.dumps({"alarms": [document(each) for each in messages]}, ensure_ascii=False).encode()
        try:
            async with (
                aiohttp.ClientSession(
                    connector=await self._judge.connector(force_close=True),
                    timeout=aiohttp.ClientTimeout(total=self._judge.settings.timeout_s),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.post(
                    URL(url), data=body, headers=self._headers(messages, body), allow_redirects=False
                ) as response,
            ):
                status = response.status
        except NotCallable as error:
            raise NotTold(f"its URL {error}") from None
        except TimeoutError:
            raise NotTold("it did not answer in time") from None
        except aiohttp.ClientConnectorCertificateError:
            raise NotTold("its certificate is not trusted") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise NotTold("it cannot be reached, or does not answer in HTTP") from None
        if not 200 <= status < 300:
            raise NotTold(f"it answered {status}")

    async def close(self) -> None:
        """Close connections: none is kept."""

    def _headers(self, messages: Sequence[AlarmMessage], body: bytes) -> dict[str, str]:
        id_ = f"alarms-{messages[0].id}-{messages[-1].id}"
        headers = {"Content-Type": "application/json", "User-Agent": "OpenADR-Fleet", "X-Request-ID": id_}
        if self._settings.bearer_token is not None:
            headers["Authorization"] = f"Bearer {self._settings.bearer_token.get_secret_value()}"
        if self._signer is not None:
            headers |= self._signer.headers(SIGNED_FOR, id_=id_, at_s=int(self._now().timestamp()), body=body)
        return headers
