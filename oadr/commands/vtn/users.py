"""``oadr vtn user``: say who may use the console."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.commands.vtn.secret_files import secret_in
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_rows

if TYPE_CHECKING:
    from vtn.console.users import ConsoleUser, ConsoleUsers

T = TypeVar("T")

app = typer.Typer(
    help="Users of the console: people, with a role and a password.",
    no_args_is_help=True,
    epilog=examples("vtn user add anna --role admin", "vtn user list"),
)

NameArgument: TypeAlias = Annotated[str, typer.Argument(help="Name of the user, as typed at the login.")]
PasswordFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE|-",
        help="The password, from a file or with - from standard input; without it you are asked.",
    ),
]

_COLUMNS = {"name": "User", "role": "Role", "signs_in_with": "Signs in with", "signed_in": "Last", "created": "Created"}


class UserRoleName(StrEnum):
    """Name what a user may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@app.command(
    epilog=examples("vtn user add anna --role admin", "vtn user add wall --role viewer --password-file wall.secret")
)
def add(
    name: NameArgument,
    *,
    role: Annotated[
        UserRoleName,
        typer.Option(
            case_sensitive=False,
            help="A viewer sees everything, an operator steers events and VENs, an admin also users and settings.",
        ),
    ],
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Add a user of the console. The password has 12 characters or more."""
    with reporting():
        password = _password(password_file)

    async def act(users: ConsoleUsers) -> None:
        from vtn.access import UserRole

        await users.add(name, UserRole(role.value), password)

    _with_users(config, database_url, act)
    typer.echo(f"{name} may use the console as {role}")


@app.command(name="list", epilog=examples("vtn user list", "vtn user list --json"))
def list_(*, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the users of the console."""

    async def act(users: ConsoleUsers) -> list[dict[str, Any]]:
        return [_row(user) for user in await users.list()]

    rows = _with_users(config, database_url, act, make=False)
    show_rows(rows, _COLUMNS, as_json=as_json, title="Users", empty="no users; add one with: oadr vtn user add")


@app.command(epilog=examples("vtn user passwd anna", "vtn user passwd anna --password-file - < new.secret"))
def passwd(
    name: NameArgument,
    *,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a user a new password, and end the user's sessions."""
    with reporting():
        password = _password(password_file)
    _with_users(config, database_url, lambda users: users.set_password(name, password), make=False)
    typer.echo(f"the password of {name} is changed, and the sessions have ended")


@app.command(epilog=examples("vtn user remove anna", "vtn user remove anna --config vtn.toml"))
def remove(name: NameArgument, *, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Remove a user and end the user's sessions; what the user did stays in the audit trail."""
    _with_users(config, database_url, lambda users: users.remove(name, even_last_admin=True), make=False)
    typer.echo(f"{name} is removed")


def _password(file: Path | None) -> str:
    """Return the password from a file, or as it is typed, twice and unseen."""
    given = secret_in(file, option="--password-file")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Failure("nobody can be asked for a password here: give it with --password-file FILE or -", Exit.USAGE)
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _with_users(
    config: Path | None, database_url: str | None, act: Callable[[ConsoleUsers], Awaitable[T]], *, make: bool = True
) -> T:
    """Return what ``act`` makes of the users in the database; ``make`` creates its tables where there are none."""

    async def run() -> T:
        from vtn.administration import console_users
        from vtn.app import system_now

        async with console_users(settings, now=system_now, make=make) as users:
            return await act(users)

    with reporting():
        settings = load_settings(config, {"database.url": database_url})
        return asyncio.run(run())
    raise AssertionError  # reporting() leaves by an exception or lets the answer through


def _row(user: ConsoleUser) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role.value,
        "signs_in_with": "another service" if user.is_external else "a password",
        "signed_in": None if user.signed_in_at is None else user.signed_in_at.isoformat(timespec="seconds"),
        "created": user.created_at.isoformat(timespec="seconds"),
    }
