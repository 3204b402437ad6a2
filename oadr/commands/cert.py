"""``oadr cert``: a small authority for private networks, and what certificates say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from oadr.errors import reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from certs import Description, Pair

app = typer.Typer(
    add_completion=False,
    help="Make a certificate authority, issue certificates from it, and inspect any.",
    no_args_is_help=True,
    epilog=examples("cert ca --out pki", "cert issue server vtn.example --ca pki"),
)
issue = typer.Typer(
    help="Issue a certificate for a server or a client.",
    no_args_is_help=True,
    epilog=examples("cert issue server vtn.example --ca pki", "cert issue client home-1 --ca pki"),
)
app.add_typer(issue, name="issue")

KeyOption: TypeAlias = Annotated[
    Literal["ec-p256", "rsa-2048"], typer.Option("--key", help="The kind of private key; RSA is for old devices.")
]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
AuthorityOption: TypeAlias = Annotated[
    Path, typer.Option("--ca", metavar="DIR", help="The folder that `oadr cert ca` wrote.")
]
OutOption: TypeAlias = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the files go.", show_default="the folder of the CA")
]
AlternativeNamesOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--san", metavar="NAME", help="A further DNS name or IP address; may be repeated.")
]
DaysOption: TypeAlias = Annotated[int, typer.Option("--days", min=1, help="How long it is valid.")]


@app.command("ca", epilog=examples("cert ca --out pki", "cert ca --out pki --name 'Utility CA' --days 3650"))
def make_authority(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where ca.pem and ca.key go.")],
    name: Annotated[str, typer.Option("--name", help="The name of the authority.")] = "OpenADR Fleet CA",
    days: DaysOption = 3650,
    key: KeyOption = "ec-p256",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Make a certificate authority: ca.pem, which everybody may have, and ca.key, which nobody else may."""
    with reporting():
        from certs import Authority, KeyKind, describe

        authority = Authority.create(name, now=_now, lifetime=timedelta(days=days), key_kind=KeyKind(key))
        pair = authority.save(out, force=force)
        _show_written(pair, describe(authority.certificate), as_json=json)


@issue.command(
    "server",
    epilog=examples(
        "cert issue server vtn.example --ca pki", "cert issue server vtn.example --ca pki --san 10.0.0.7 --out vtn"
    ),
)
def issue_server(
    name: Annotated[str, typer.Argument(help="The DNS name or IP address by which clients reach the server.")],
    *,
    ca: AuthorityOption,
    san: AlternativeNamesOption = None,
    out: OutOption = None,
    days: DaysOption = 397,
    key: KeyOption = "ec-p256",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Issue a certificate for a VTN, a broker or another server: NAME.pem and NAME.key."""
    with reporting():
        from certs import Authority, KeyKind, describe

        issued = Authority.load(ca, now=_now).issue_server(
            name, alternative_names=san or (), lifetime=timedelta(days=days), key_kind=KeyKind(key)
        )
        pair = issued.save(out or ca, force=force)
        _show_written(pair, describe(issued.certificate), as_json=json)


@issue.command(
    "client",
    epilog=examples("cert issue client home-1 --ca pki", "cert issue client home-1 --ca pki --out home-1 --days 365"),
)
def issue_client(
    client_id: Annotated[str, typer.Argument(metavar="NAME", help="The client id; it becomes the common name.")],
    *,
    ca: AuthorityOption,
    san: AlternativeNamesOption = None,
    out: OutOption = None,
    days: DaysOption = 397,
    key: KeyOption = "ec-p256",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Issue a certificate for a VEN, a panel, the bridge or another client: NAME.pem and NAME.key."""
    with reporting():
        from certs import Authority, KeyKind, describe

        issued = Authority.load(ca, now=_now).issue_client(
            client_id, alternative_names=san or (), lifetime=timedelta(days=days), key_kind=KeyKind(key)
        )
        pair = issued.save(out or ca, force=force)
        _show_written(pair, describe(issued.certificate), as_json=json)


@app.command("show", epilog=examples("cert show pki/ca.pem", "cert show home-1/home-1.pem --json"))
def show(
    file: Annotated[Path, typer.Argument(help="A certificate or a chain, PEM or DER.")],
    *,
    json: JsonOption = False,
) -> None:
    """Show subject, names, validity and fingerprints of every certificate in a file."""
    with reporting():
        from certs import describe, read_certificates

        described = [describe(certificate) for certificate in read_certificates(file)]
        if wants_json(json):
            show_json([_as_json(each) for each in described])
            return
        for each in described:
            _show_members(_members(each), title=str(file))


def _show_written(pair: Pair, description: Description, *, as_json: bool) -> None:
    if wants_json(as_json):
        show_json({"certificateFile": str(pair.certificate), "keyFile": str(pair.key), **_as_json(description)})
        return
    files = [("Certificate", str(pair.certificate)), ("Private key", f"{pair.key} (keep it secret)")]
    _show_members([*files, *_members(description)], title="Written")


def _show_members(members: Sequence[tuple[str, object]], *, title: str) -> None:
    rows = [{"member": member, "value": value} for member, value in members]
    show_rows(rows, {"member": "Member", "value": "Value"}, as_json=False, title=title, empty="")


def _members(description: Description) -> list[tuple[str, object]]:
    end = f"{description.not_after:%Y-%m-%d %H:%M} UTC"
    return [
        ("Subject", description.subject),
        ("Issuer", description.issuer),
        ("Serial", description.serial),
        ("Alternative names", description.alternative_names),
        ("Usable as", description.usages),
        ("Key", description.key),
        ("Valid from", f"{description.not_before:%Y-%m-%d %H:%M} UTC"),
        ("Valid until", f"{end} (EXPIRED)" if description.expired(_now()) else end),
        ("SHA-256", description.sha256),
        ("OpenADR 2.0b fingerprint", description.openadr_fingerprint),
    ]


def _as_json(description: Description) -> dict[str, Any]:
    return {
        "subject": description.subject,
        "issuer": description.issuer,
        "serial": description.serial,
        "alternativeNames": description.alternative_names,
        "usages": description.usages,
        "key": description.key,
        "notBefore": description.not_before.isoformat(),
        "notAfter": description.not_after.isoformat(),
        "expired": description.expired(_now()),
        "sha256": description.sha256,
        "openadrFingerprint": description.openadr_fingerprint,
    }


def _now() -> datetime:
    return datetime.now(UTC)
