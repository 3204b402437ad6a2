"""The connection of business-logic commands to a VTN: address and credentials from flag, environment or file."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import typer
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from oadr.config import load
from oadr.errors import Exit, Failure, reporting
from openadr_client import ConnectionSettings

if TYPE_CHECKING:
    from openadr_client import VtnClient

T = TypeVar("T")

PREFIX = "OADR_BL_"

UrlOption: TypeAlias = Annotated[
    str | None, typer.Option("--vtn", metavar="URL", help=f"The VTN, as http://host/openadr3/3.1.0 [{PREFIX}URL].")
]
ClientIdOption: TypeAlias = Annotated[
    str | None, typer.Option("--client-id", help=f"Client id of the business logic [{PREFIX}CLIENT_ID].")
]
ClientSecretOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--client-secret",
        help=f"Its secret; other users of the machine can see flags, so rather set [{PREFIX}CLIENT_SECRET] "
        f"or [{PREFIX}CLIENT_SECRET_FILE].",
    ),
]
CaFileOption: TypeAlias = Annotated[
    Path | None, typer.Option("--ca-file", help=f"CA certificates to trust besides the system's [{PREFIX}CA_FILE].")
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", help="TOML file with url, client_id, client_secret and the other settings of docs/cli.md."
    ),
]


class SafetySettings(BaseModel):
    """Limits of issuing, in kW and days; ``confirm_above_kw`` asks first, the others refuse (docs/cli.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confirm_above_kw: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal(1_000)
    max_kw_per_ven: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal(10_000)
    max_total_kw: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal(1_000_000)
    max_days_ahead: Annotated[int, Field(ge=0)] = 366


class BusinessLogic(ConnectionSettings):
    """Settings of a business-logic client: its connection, and limits on requests to VENs."""

    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    safety: SafetySettings = SafetySettings()

    def client(self) -> VtnClient:
        """Return a client for a few requests that asks once: a person waits, and may ask again."""
        from openadr_client import NO_RETRY, ShortTransport

        return self.client_with(transport=ShortTransport, retry=NO_RETRY)


def with_connection(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options above, and itself the ``settings`` they amount to; its errors become exit codes."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "settings"]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    def wrapped(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in _OPTIONS}
        with reporting():
            flags = {"url": given["vtn"], **{name: given[name] for name in ("client_id", "client_secret", "ca_file")}}
            command(settings=load(BusinessLogic, prefix=PREFIX, file=given["config"], flags=flags), **arguments)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined] # PEP 362
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
    return wrapped


_OPTIONS: Final = {
    "config": ConfigOption,
    "vtn": UrlOption,
    "client_id": ClientIdOption,
    "client_secret": ClientSecretOption,
    "ca_file": CaFileOption,
}


def act(settings: BusinessLogic, action: Callable[[VtnClient], Awaitable[T]]) -> T:
    """Run ``action`` with an open client. A client that may not do it is told what client may (UNAUTHORIZED)."""
    from openadr_client import Forbidden

    async def run() -> T:
        async with settings.client() as client:
            try:
                return await action(client)
            except Forbidden as error:
                raise Failure(
                    f"client {settings.client_id} may not do this ({error.problem.detail or error.problem.title}): "
                    f"if {settings.client_id} is a VEN, use a client of business logic "
                    "(oadr vtn client add NAME --role bl)",
                    Exit.UNAUTHORIZED,
                ) from error

    return asyncio.run(run())
