"""Ask the local API of a running VEN, as the command line does."""

from __future__ import annotations

from typing import Any, Final, Literal

import aiohttp

from ven.errors import VenError
from ven.local_api.token import is_loopback, read_token
from ven.settings import LocalSettings

_WITHIN_S: Final = {"GET": 20.0, "POST": 75.0}
"""A word of the owner waits for the control step that is under way, which ends within a minute."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # addresses to listen on, which nobody calls


class NotRunning(VenError):
    """No VEN answers: it does not run, or its settings have no ``local.port``."""


class LocalRefusal(VenError):
    """The running VEN understood and said no; the message names what and why."""


async def ask(
    settings: LocalSettings, method: Literal["GET", "POST"], path: str, given: dict[str, Any] | None = None
) -> Any:
    """Return what the running VEN answers, as JSON.

    Raises:
        NotRunning: there is no answer.
        LocalRefusal: it refuses.
    """
    if settings.port is None:
        raise NotRunning("local.port is not set: the VEN can only be asked with it (docs/ven.md, Local API)")
    host = _ANY.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}{path}"
    headers = {}
    if not is_loopback(settings.host):
        try:
            headers["Authorization"] = f"Bearer {read_token(settings.token_file)}"
        except OSError as error:
            raise LocalRefusal(f"local.token_file {settings.token_file}: {error.strerror}") from error
    limit = aiohttp.ClientTimeout(total=_WITHIN_S[method])
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers) as session,
            session.request(method, url, json=given) as answer,
        ):
            body = await answer.json(content_type=None)
            if answer.status != 200:
                problem = body.get("error") if isinstance(body, dict) else None
                raise LocalRefusal(str(problem or f"{url} answered {answer.status}"))
            return body
    except ValueError as error:
        raise LocalRefusal(f"{url} is not the local API of a VEN: its answer is not JSON") from error
    except TimeoutError as error:
        hint = "the VEN hangs, or it is none" if method == "GET" else "it may still do so: see oadr ven status"
        raise NotRunning(f"{url} has not answered within {_WITHIN_S[method]:g} s: {hint}") from error
    except aiohttp.ClientError as error:
        raise NotRunning(f"no VEN answers at {url}: is it running (oadr ven run)?") from error
