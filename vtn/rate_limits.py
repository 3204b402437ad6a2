"""The rate limits of a server, each shared by all of its workers (GEN-008, AUTH-035)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from vtn.auth.rate_limiter import RateLimiter
from vtn.auth.wrong_secrets import WrongSecrets
from vtn.processes.shared_memory import SharedMemory
from vtn.processes.timestamps import SharedTimestamps
from vtn.settings import Settings


class RateLimits:
    """Make the limits that the settings ask for.

    Behind a proxy all clients of the API have one address: none counts by it.
    """

    def __init__(self, settings: Settings, shared: SharedMemory, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._shared = shared
        self._now = now

    def requests(self) -> RateLimiter | None:
        """Return the limit on the requests of a client; None if there is none."""
        limits = self._settings.limits
        if limits.requests_per_s is None:
            return None
        return self._limiter("requests per client", burst=limits.requests_burst, per_s=limits.requests_per_s)

    def anonymous_requests(self) -> RateLimiter | None:
        """Return the limit on requests without a token, by address; None if there is none."""
        public = self._settings.public
        if not public.programs or self._settings.behind_proxy:
            return None
        return self._limiter("anonymous requests per address", burst=public.requests_burst, per_s=public.requests_per_s)

    def tokens(self) -> RateLimiter:
        """Return the limit on the tokens of a client."""
        auth = self._settings.auth
        return self._limiter("tokens per client", burst=auth.client_burst, per_s=auth.client_per_s)

    def wrong_secrets(self) -> WrongSecrets:
        """Return the limits on wrong secrets, by client and by address."""
        auth = self._settings.auth
        return WrongSecrets(
            per_client=self._limiter("wrong secrets per client", burst=auth.failure_burst, per_s=auth.failure_per_s),
            per_address=None
            if self._settings.behind_proxy
            else self._limiter("wrong secrets per address", burst=auth.address_burst, per_s=auth.address_per_s),
        )

    def wrong_passwords(self) -> WrongSecrets:
        """Return the limits on wrong passwords at the console, by user at an address, and by address.

        The address is the one that a proxy adds: by the proxy's own, one guesser would lock everybody out.
        """
        console = self._settings.console
        burst, per_s = console.login_burst, 1 / console.login_every_s
        return WrongSecrets(
            per_client=self._limiter("wrong passwords per user", burst=burst, per_s=per_s),
            per_address=self._limiter("wrong passwords per address", burst=burst * 5, per_s=per_s * 5),
        )

    def _limiter(self, name: str, *, burst: int, per_s: float) -> RateLimiter:
        seats = self._shared.part(name)
        timestamps = SharedTimestamps(seats, self._shared.slot) if len(seats) > 1 else None
        return RateLimiter(burst=burst, per_s=per_s, now=self._now, timestamps=timestamps)
