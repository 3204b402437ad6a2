"""``oadr bridge acl``: what the broker should let panels and bridge do, as a file for it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from oadr.commands.bridge.options import ConfigOption, load_settings
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import parsed_by

_BROKERS: Final = ("mosquitto",)


def _broker(name: str) -> str:
    if name not in _BROKERS:
        raise ValueError(f"{name!r} is none of {', '.join(_BROKERS)}")
    return name


def acl(
    *,
    config: ConfigOption = None,
    broker: Annotated[
        str, typer.Option(parser=parsed_by(_broker), metavar="NAME", help="Whose file it is: mosquitto.")
    ] = "mosquitto",
    user: Annotated[
        str | None,
        typer.Option(help="The bridge's account, or the name in its certificate. Default: broker.username."),
    ] = None,
) -> None:
    """Print an access list for the broker: each panel uses only its own topics, and the bridge what it needs.

    A panel's account has the panel's id as its name, by password or certificate. The panels are those of the settings;
    with unregistered = "accept" each account is a panel.
    """
    with reporting():
        from bridge_mqtt.broker_access import mosquitto_access

        settings = load_settings(config)
        name = user or settings.broker.username
        if name is None:
            raise Failure("name the bridge's account at the broker with --user, or set broker.username", Exit.USAGE)
        try:
            lines = list(mosquitto_access(settings, bridge_user=name))
        except ValueError as error:
            raise Failure(str(error), Exit.CONFIGURATION) from None
        typer.echo("\n".join(lines).rstrip())
