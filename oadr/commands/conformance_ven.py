"""``oadr conformance ven``: be a VTN for any VEN, and see whether it keeps to the standard."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from oadr_conformance import Credential, Misused, ReceiverAddress, Unreachable, profile_of, select
from oadr_conformance.ven31.checks import ALL_VEN
from oadr_conformance.ven31.examination import SubjectVen, run_ven
from oadr_conformance.ven31.pace import ScenarioPace
from oadr_conformance.ven31.server import PREFIX

from oadr.commands.conformance_output import (
    HtmlOption,
    JsonFileOption,
    JunitOption,
    OnlyOption,
    ResultsAsJsonOption,
    StrictOption,
    check_places,
    examining,
    finish,
)
from oadr.errors import Exit, Failure, reporting

_RULINGS = "rulings.binding"


def ven(
    *,
    at: Annotated[
        str, typer.Option(help="Where the VEN can reach the suite, as http://192.0.2.7:8093: it listens there.")
    ] = "http://127.0.0.1:8093",
    listen: Annotated[
        str, typer.Option(help="Listen at HOST:PORT instead: behind an address translation, or a proxy that ends TLS.")
    ] = "",
    cert: Annotated[
        Path | None, typer.Option(help="Certificate for an https address, PEM, from an authority the VEN trusts.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    client_id: Annotated[str, typer.Option(help="Client id that the VEN is configured with.")] = "conformance-ven",
    client_secret: Annotated[
        str,
        typer.Option(envvar="OADR_CONFORMANCE_VEN_SECRET", help="Its secret; else a new one is made and printed."),
    ] = "",
    poll: Annotated[float, typer.Option(help="Seconds between two polls, as the VEN is configured.")] = 5.0,
    wait: Annotated[float, typer.Option(help="Seconds that the VEN may take to appear.")] = 120.0,
    patience: Annotated[float, typer.Option(help="Seconds that anything may come later than expected.")] = 30.0,
    profile: Annotated[Literal["3.1"], typer.Option(help="Version of the standard.")] = "3.1",
    switch: Annotated[
        list[str] | None, typer.Option(help=f"{_RULINGS}=true asks for our rulings too.", show_default=False)
    ] = None,
    only: OnlyOption = None,
    strict: StrictOption = False,
    product: Annotated[str, typer.Option(help="Name of the VEN for the report; else from its User-Agent.")] = "",
    product_version: Annotated[str, typer.Option(help="Its version.")] = "",
    html: HtmlOption = None,
    junit: JunitOption = None,
    json_file: JsonFileOption = None,
    as_json: ResultsAsJsonOption = False,
) -> None:
    """Examine a VEN: print what to configure in it, wait until it appears, play a scenario, and judge what it did.

    The VEN has to poll every few seconds (--poll) and to act on events of any program. The suite is its only VTN
    meanwhile: give it a store of its own, and no devices that matter. It takes about a minute and a half with --poll 5.

    Exit codes: 0 it conforms, 7 a check failed, 4 no VEN appeared, 2 wrong usage, 130 interrupted.
    """
    with reporting():
        try:
            check_places(html, junit, json_file)
            others = [text for text in switch or () if not text.startswith(f"{_RULINGS}=")]
            if others:
                raise Misused(f"the only switch for a VEN is {_RULINGS}, not {others[0]!r}")
            subject = SubjectVen(
                address=ReceiverAddress(at, listen=listen, certificate=cert, key=key),
                credential=Credential(client_id=client_id, client_secret=client_secret or secrets.token_urlsafe(24)),
                pace=ScenarioPace(poll_s=poll, wait_s=wait, patience_s=patience),
                rulings=profile_of("default", switch or ()).rulings,
                product=product,
                version=product_version,
            )
            checks = select(ALL_VEN, only or ())
            typer.echo(_configuration(subject, made=not client_secret), err=True)
            work = partial(run_ven, subject, tell=lambda stage: typer.echo(stage, err=True))
            result = asyncio.run(examining(work, checks, len(ALL_VEN), profile))
        except Misused as error:
            raise Failure(str(error), Exit.USAGE) from error
        except Unreachable as error:
            raise Failure(str(error), Exit.UNREACHABLE) from error
        finish(result, strict=strict, as_json=as_json, html=html, junit=junit, json_file=json_file)


def _configuration(subject: SubjectVen, *, made: bool) -> str:
    """Return what to configure in the VEN; a secret that was given is not shown again."""
    secret = subject.credential.client_secret if made else "as given"
    return (
        f"configure in the VEN, then start it:\n  URL            {subject.address.url.rstrip('/')}{PREFIX}\n"
        f"  client id      {subject.credential.client_id}\n  client secret  {secret}\n"
        f"  polling        every {subject.pace.poll_s:g} s"
    )
