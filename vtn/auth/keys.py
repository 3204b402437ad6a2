"""The keys that sign our tokens: the newest signs, older ones go on verifying until what they signed is over."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from vtn.errors import Conflict, SecretsKeyUnusable, Unavailable
from vtn.settings import Auth
from vtn.store.sealing import key_place
from vtn.store.signing_key import KeyRow, SigningKeyStore
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault

_log = structlog.get_logger(__name__)

_FROM_SETTINGS: Final = "settings"
_EVERY: Final = timedelta(seconds=1)


class SigningKeys:
    """Keys by their id (``kid``): those in the settings, else those in the database, which all processes share."""

    def __init__(
        self, settings: Auth, store: SigningKeyStore, stamps: Stamps, now: Callable[[], datetime], vault: Vault
    ) -> None:
        self._vault = vault
        self._settings = settings
        self._store = store
        self._stamps = stamps
        self._now = now
        self._keys: dict[str, tuple[str, ...]] = {}
        self._newest = ""
        self._read_at: datetime | None = None
        if settings.signing_key is not None:
            given = (settings.signing_key, *settings.previous_signing_keys)
            self._keys = {_FROM_SETTINGS: tuple(key.get_secret_value() for key in given)}
            self._newest = _FROM_SETTINGS

    @property
    def newest(self) -> tuple[str, str]:
        """Return the id and the secret of the key that signs."""
        return self._newest, self._keys[self._newest][0]

    def named(self, kid: object) -> tuple[str, ...]:
        """Return the secrets that a token of this key id may be signed with."""
        return self._keys.get(kid, ()) if isinstance(kid, str) else ()

    async def load(self) -> None:
        """Read the keys, and make one if there is none."""
        if self._newest == _FROM_SETTINGS:
            return
        await self._store.add_first(self._new)
        await self.refresh()

    async def refresh(self) -> bool:
        """Learn what other processes have changed; return True if a key is gone: what it signed no longer holds."""
        if self._newest == _FROM_SETTINGS:
            return False
        before, self._keys = self._keys, self._opened(await self._store.all())
        self._newest = list(self._keys)[-1]
        self._read_at = self._now()
        return not before.keys() <= self._keys.keys()

    def _opened(self, rows: Sequence[KeyRow]) -> dict[str, tuple[str, ...]]:
        """Return the keys in rows, oldest first. While the server runs it goes on with those it can open."""
        keys: dict[str, tuple[str, ...]] = {}
        for row in rows:
            kid = row.kid
            try:
                opened = self._keys.get(kid) or (self._vault.open(row.secret, place=key_place(kid)),)
            except SecretsKeyUnusable as error:
                if not self._keys:
                    raise
                _log.error("a signing key cannot be used", kid=kid, reason=str(error))
                continue
            keys[kid] = opened
        if not keys:
            raise Unavailable("tokens cannot be checked at present; try again later")
        return keys

    async def refresh_for(self, kid: object) -> None:
        """Look for a key that another process may have made; not more often than once a second."""
        recently = self._read_at is not None and timedelta() <= self._now() - self._read_at < _EVERY
        if isinstance(kid, str) and kid not in self._keys and not recently:
            await self.refresh()

    async def rotate(self, *, end_tokens: bool) -> str:
        """Make a new key and return its id.

        Older keys stay as long as a token they signed may hold; with ``end_tokens`` they go, and everybody needs a new
        token. Raises Conflict if the key is in the settings.
        """
        if self._newest == _FROM_SETTINGS:
            raise Conflict(
                "the signing key is in the settings: put a new one into auth.signing_key and the old one into "
                "auth.previous_signing_keys"
            )
        key = await self._store.rotate(
            self._new, now=self._now(), token_lifetime_s=self._settings.token_lifetime_s, end_tokens=end_tokens
        )
        await self.refresh()
        _log.info("signing key rotated", kid=key.kid, tokens_ended=end_tokens)
        return key.kid

    def _new(self, after: str | None = None) -> KeyRow:
        created_at = self._stamps.next(after=after)
        kid = secrets.token_hex(8)
        sealed = self._vault.seal(secrets.token_hex(32), place=key_place(kid))
        return KeyRow(kid=kid, secret=sealed, created_at=created_at)
