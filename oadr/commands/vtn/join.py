"""Options of join lines, and what the rules of the VTN make of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from oadr.errors import Exit, Failure
from openadr_profiles.join_line import BadJoinLine
from openadr_profiles.v31 import Invalid

if TYPE_CHECKING:
    from vtn.join_lines import JoinLines
    from vtn.settings import Settings

VenNameOption: TypeAlias = Annotated[
    str | None, typer.Option("--ven-name", help="For the join line: name of the ven. Default: the client's id.")
]
UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Address at which the VEN reaches the VTN, for the join line. Default: public_url."),
]
TokenUrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--token-url", help="For the join line: where tokens are fetched, if the VTN does not say."),
]
CaFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--ca-file", help="For the join line: certificate (PEM) of your own authority, to trust for the VTN."),
]


def join_lines(settings: Settings, *, url: str | None, token_url: str | None, ca_file: Path | None) -> JoinLines:
    """Return what makes the join lines of one VTN.

    Raises:
        Failure: ``url`` or ``token_url`` is no address.
        BadJoinLine: ``ca_file`` is not one certificate.
    """
    from vtn.join_lines import JoinLines

    ca = None if ca_file is None else certificate_in_file(ca_file)
    try:
        return JoinLines(settings, url=url, token_url=token_url, ca=ca, url_is="--url")
    except Invalid as error:
        raise Failure(f"--{error.member.replace('_', '-')}: {error.problem}", Exit.USAGE) from None


def certificate_in_file(file: Path) -> bytes:
    """Return the one certificate in a PEM file as DER; raises BadJoinLine."""
    from vtn.join_lines import LONGEST_PEM, certificate_in

    try:
        with file.open("rb") as opened:
            text = opened.read(LONGEST_PEM).decode("ascii", errors="replace")
    except OSError as error:
        raise BadJoinLine(f"--ca-file: {file} cannot be read: {error.strerror}") from None
    try:
        return certificate_in(text)
    except ValueError as error:
        raise BadJoinLine(f"--ca-file: {file} {error}") from None
