"""Seals the secrets that must be read back, so that the database and its backups hold none of them in plain text.

AES-256-GCM under a key from a file that is kept apart from the database. A sealed text is bound to its place, the table
and the id of its row: moved to another row it cannot be opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vtn.errors import SecretsKeyUnusable
from vtn.files import check_private, new_file, replace_file
from vtn.paths import data_folder
from vtn.settings import Settings

_log = structlog.get_logger(__name__)

_FORM: Final = "v1."
_ID_LETTERS: Final = 8
PREFIX_LETTERS: Final = len(_FORM) + _ID_LETTERS
"""Length of the prefix of a sealed text, which names its form and its key."""
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_LARGEST_FILE_BYTES: Final = 64 * 1024

SETTING: Final = "secrets_key_file (OADR_VTN_SECRETS_KEY_FILE)"
_HEADING: Final = """\
# Keys of the secrets in the database of an OpenADR VTN. The first one seals; the others still open what they sealed.
# Keep a copy, apart from backups of the database: without this file nobody can read the secrets in them.
"""


class Vault:
    """The keys of a file, by their ids. The file is read when it is needed, and made when a first secret is sealed."""

    def __init__(self, settings: Settings) -> None:
        self.file = settings.secrets_key_file or _usual_file(settings)
        self._keys: dict[str, AESGCM] = {}
        self._lines: list[str] = []

    def seal(self, text: str, *, place: str) -> str:
        """Encrypt a text so that it can be opened only with the key and in this place. Raises SecretsKeyUnusable."""
        if not self._keys and not self._read():
            self._make()
        key_id, key = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + key.encrypt(nonce, text.encode(), place.encode())
        return f"{_FORM}{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, *, place: str) -> str:
        """Decrypt a text that was sealed for this place; a text from before there were keys is returned as it is.

        Raises SecretsKeyUnusable if its key is not in the file, or if it was changed or moved.
        """
        if not is_sealed(sealed):
            return sealed
        key_id = sealed[len(_FORM) : PREFIX_LETTERS]
        if key_id not in self._keys:
            self._read()
        self._check_known(key_id)
        try:
            content = base64.urlsafe_b64decode(sealed[PREFIX_LETTERS + 1 :])
            opened = self._keys[key_id].decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretsKeyUnusable(f"the secret at {place} in the database was damaged or moved there") from error
        return opened.decode()

    def ensure(self) -> None:
        """Make the file unless it is there. Raises SecretsKeyUnusable."""
        if not self._read():
            self._make()

    def check(self, key_ids: Iterable[str]) -> None:
        """Raise SecretsKeyUnusable unless all these keys are in the file; warn if others may read it."""
        check_private(self.file, "the key of the secrets")
        for key_id in sorted(key_ids):
            if key_id not in self._keys:
                self._read()
            self._check_known(key_id)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the keys, the one that seals first; none if there is no file yet."""
        self._read()
        return list(self._keys)

    def add_key(self) -> str:
        """Seal with a new key from now on and give its id; the older ones still open. Raises SecretsKeyUnusable."""
        self._read()
        self._write([_new_line(), *self._lines])
        return next(iter(self._keys))

    def forget_old_keys(self) -> list[str]:
        """Take all keys but the one that seals out of the file, and give their ids. Raises SecretsKeyUnusable."""
        gone = self.ids[1:]
        if gone:
            self._write(self._lines[:1])
        return gone

    def _check_known(self, key_id: str) -> None:
        if key_id not in self._keys:
            there = f"{self.file} has " + (", ".join(self._keys) or "none") if self._lines else f"no {self.file}"
            raise SecretsKeyUnusable(
                f"the secrets in the database were sealed with the key {key_id}, and there is {there}: name the right "
                f"key file with {SETTING}; hosts that share a database share the file"
            )

    def _read(self) -> bool:
        """Read the file again; False if there is none."""
        try:
            with self.file.open("rb") as file:
                content = file.read(_LARGEST_FILE_BYTES)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SecretsKeyUnusable(f"{SETTING}: {self.file} cannot be read: {error.strerror}") from error
        try:
            lines = [line for line in content.decode().split("\n") if line.strip() and not line.startswith("#")]
            keys = dict(_key(line.strip()) for line in lines)
        except ValueError:
            keys = {}
        if not keys:
            raise SecretsKeyUnusable(
                f"{SETTING}: {self.file} is not a key file; expected a line of 44 letters for each key"
            )
        self._lines, self._keys = lines, keys
        return True

    def _make(self) -> None:
        try:
            if self.file.parent == data_folder():
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with new_file(self.file) as file:
                file.write(_text([_new_line()]))
        except FileExistsError:
            pass  # by another process, at the same time
        except OSError as error:
            raise SecretsKeyUnusable(f"{SETTING}: {self.file} cannot be made: {error.strerror}") from error
        else:
            _log.info("a key for the secrets in the database was made; keep a copy of it", file=str(self.file))
        self._read()

    def _write(self, lines: list[str]) -> None:
        try:
            if self.file.parent == data_folder():
                self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.file, _text(lines))
        except OSError as error:
            raise SecretsKeyUnusable(
                f"{SETTING}: {self.file} cannot be written: {error.strerror}; where it is provided from elsewhere, put "
                "a new key into its first line there and run `oadr vtn secrets reseal`"
            ) from error
        self._read()


def is_sealed(text: str) -> bool:
    """True for what ``Vault.seal`` made, and for no key or token from before."""
    return text.startswith(_FORM)


def key_id_of(sealed: str) -> str:
    """Return the id of the key that a sealed text, or its beginning, needs."""
    return sealed[len(_FORM) : PREFIX_LETTERS]


def _usual_file(settings: Settings) -> Path:
    """Return the default key file: beside the file of SQLite, else in the user's folder."""
    name = settings.database.file
    return data_folder() / "vtn-secrets.key" if name is None else name.with_name(name.name + ".key")


def _new_line() -> str:
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()


def _key(line: str) -> tuple[str, AESGCM]:
    """Return a key and its id, which reveals nothing about it. Raises ValueError."""
    try:
        key = base64.b64decode(line, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(key) != _KEY_BYTES:
        raise ValueError("not 32 bytes")
    return hashlib.sha256(b"openadr-fleet key id " + key).hexdigest()[:_ID_LETTERS], AESGCM(key)


def _text(lines: list[str]) -> bytes:
    return (_HEADING + "\n".join(lines) + "\n").encode()
