"""Requests of a program that goes on running: aiohttp, on connections that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from openadr_client.errors import AnswerTooLarge, Unreachable, UntrustedServer
from openadr_client.transport import ACCEPTED, MAX_BODY, Answer, BaseTransport, Query, origin, unreachable

if TYPE_CHECKING:
    import aiohttp


class PooledTransport(BaseTransport):
    """Sends requests on connections that are kept and shared."""

    _session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make connections possible; call inside the running event loop."""
        import aiohttp  # noqa: PLC0415 # a command with few requests uses ShortTransport

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"User-Agent": self._user_agent, "Accept": ACCEPTED},
                cookie_jar=aiohttp.DummyCookieJar(),
            )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(
        self,
        method: str,
        url: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | None,
        form: Mapping[str, str] | None,
    ) -> Answer:
        import aiohttp  # noqa: PLC0415 # see above

        if self._session is None:
            raise RuntimeError("the client is not open: use it as `async with`")
        try:
            async with self._session.request(
                method,
                url,
                params=list(query),
                headers=headers,
                data=form if body is None else body,
                allow_redirects=False,
                ssl=self.context if url.lower().startswith("https:") else True,
            ) as response:
                return Answer(response.status, response.headers, await _whole_body(response))
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise UntrustedServer(f"no trusted TLS connection to {origin(url)}: {error}") from error
        except aiohttp.InvalidURL as error:
            raise Unreachable(f"{url} is not a usable URL", was_sent=False, is_lasting=True) from error
        except TimeoutError as error:
            raise Unreachable(f"no answer from {origin(url)} within {self._timeout_s:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise unreachable(url, error.os_error, was_sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"cannot reach {origin(url)}: {error or type(error).__name__}") from error


async def _whole_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MAX_BODY:
            raise AnswerTooLarge(f"{origin(str(response.url))} sent more than {MAX_BODY} bytes in one answer")
    return bytes(body)
