"""People who may use the console: added and removed, with roles and passwords."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from openadr_profiles.v31 import Invalid
from vtn.access import UserRole
from vtn.auth.secrets import Secrets
from vtn.errors import Conflict
from vtn.store.console.users import UserRow, UserStore, no_user
from vtn.store.stamps import Stamps

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """Somebody who may use the console. ``is_external`` says that another service signs this user in."""

    name: str
    role: UserRole
    is_external: bool
    created_at: datetime
    signed_in_at: datetime | None


class ConsoleUsers:
    """Adds, lists, checks and removes users. ``noted`` is told of each change, where no page tells of it."""

    def __init__(
        self,
        store: UserStore,
        stamps: Stamps,
        secrets: Secrets,
        *,
        noted: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._noted = noted
        self._store = store
        self._stamps = stamps
        self._secrets = secrets

    async def add(self, name: str, role: UserRole, password: str) -> ConsoleUser:
        """Add a user with a password; raises Invalid for a name or password that cannot be, Conflict."""
        _check_name(name)
        _check_password(name, password)
        if await self._store.get(name) is not None:  # before a password is hashed for nothing
            raise Conflict(f"name: there already is a user {name}")
        hashed = await self._secrets.hash(password)
        row = UserRow(name=name, role=role.value, password_hash=hashed, created_at=self._stamps.next())
        await self._store.add(row)
        await self._note("user added", f"user {name}, {role}")
        return _user(row)

    async def list(self) -> Sequence[ConsoleUser]:
        """Return all users by name."""
        return [_user(row) for row in await self._store.all()]

    async def any(self) -> bool:
        """Return True if there is a user."""
        return await self._store.any()

    async def set_password(self, name: str, password: str) -> None:
        """Give a user a new password, and end the user's sessions; raises NotFound, Invalid, Conflict.

        A user whom another service signs in has none here.
        """
        _check_password(name, password)
        row = await self._store.get(name)
        if row is None:
            raise no_user(name)
        if row.subject is not None:
            raise Conflict(f"name: {name} signs in with another service and has no password here")
        await self._store.change(name, end_sessions=True, password_hash=await self._secrets.hash(password))
        await self._note("password changed", f"user {name}")

    async def set_role(self, name: str, role: UserRole) -> None:
        """Give a user another role, from the next request on; raises NotFound, Conflict for the last admin."""
        if role is not UserRole.ADMIN:
            await self._keep_an_admin(name)
        await self._store.change(name, role=role.value)
        await self._note("role changed", f"user {name}, {role}")

    async def remove(self, name: str, *, even_last_admin: bool = False) -> None:
        """Remove a user and end the user's sessions; raises NotFound, Conflict for the last admin with a password."""
        if not even_last_admin:
            await self._keep_an_admin(name)
        await self._store.remove(name)
        await self._note("user removed", f"user {name}")

    async def authenticated(self, name: str, password: str, *, guessing: bool = False) -> ConsoleUser | None:
        """Return the user, if that is the password; it takes as long for a user that does not exist.

        One who is ``guessing`` waits for those who are not.
        """
        row = await self._store.get(name) if _NAME.fullmatch(name) else None
        hashed = None if row is None else row.password_hash
        key = f"user of the console {name}"
        matches = self._secrets.recalled(key, password, hashed)
        if matches is None:
            matches = await self._secrets.matches(key, password, hashed, turn=key, guessing=guessing)
        if row is None or not matches:
            return None
        await self._store.change(name, signed_in_at=self._stamps.now)
        return _user(row)

    async def known_as(self, subject: str, name: str, role: UserRole) -> str:
        """Return the name of the user whom another service knows as ``subject``, added or given its role now.

        Raises Invalid for a name that cannot be, Conflict if a user with a password has it.
        """
        row = await self._store.of_subject(subject)
        if row is not None:
            await self._store.change(row.name, role=role.value, signed_in_at=self._stamps.now)
            return row.name
        _check_name(name)
        at = self._stamps.next()
        await self._store.add(UserRow(name=name, role=role.value, subject=subject, created_at=at, signed_in_at=at))
        return name

    async def _note(self, act: str, what: str) -> None:
        if self._noted is not None:
            await self._noted(act, what)

    async def _keep_an_admin(self, name: str) -> None:
        """Raise Conflict if nobody else could manage users afterwards."""
        admins = [row.name for row in await self._store.all() if row.role == UserRole.ADMIN and row.subject is None]
        if admins == [name]:
            raise Conflict(f"name: {name} is the last admin with a password; make another one first")


def _user(row: UserRow) -> ConsoleUser:
    return ConsoleUser(
        name=row.name,
        role=UserRole(row.role),
        is_external=row.subject is not None,
        created_at=datetime.fromisoformat(row.created_at),
        signed_in_at=None if row.signed_in_at is None else datetime.fromisoformat(row.signed_in_at),
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid("name", "expected 1 to 128 letters, digits or . _ @ + -, beginning with a letter or digit")


def _check_password(name: str, password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid("password", f"expected {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if name.casefold() in password.casefold() and len(password) < len(name) + SHORTEST_PASSWORD:
        raise Invalid("password", "expected more than the name of the user in it")
    if len(set(password)) < 4:
        raise Invalid("password", "expected at least 4 different characters")
