"""Wrong secrets, counted for each client at an address and for each address (AUTH-035).

Only wrong ones count, and nobody is refused because others were wrong: a client with the right secret gets a token. Who
guesses too often waits for the check of the next secret, and is told to slow down.
"""

from __future__ import annotations

from contextlib import suppress

from vtn.auth.rate_limiter import RateLimiter
from vtn.errors import TooManyRequests


class WrongSecrets:
    """Counts wrong secrets. ``per_address`` is None where all clients come from one address, as behind a proxy."""

    def __init__(self, *, per_client: RateLimiter, per_address: RateLimiter | None) -> None:
        self._per_client = per_client
        self._per_address = per_address

    def refusal(self, address: str, client_id: str) -> TooManyRequests | None:
        """Give what a wrong secret is to be answered with when there were too many; None if there were not."""
        try:
            self._per_client.check(_key(address, client_id))
            if self._per_address is not None:
                self._per_address.check(address)
        except TooManyRequests as error:
            return error
        return None

    def count(self, address: str, client_id: str) -> None:
        """Count a wrong secret."""
        with suppress(TooManyRequests):
            self._per_client.take(_key(address, client_id))
        if self._per_address is not None:
            with suppress(TooManyRequests):
                self._per_address.take(address)


def _key(address: str, client_id: str) -> str:
    return f"{address} {client_id}"
