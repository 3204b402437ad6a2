"""``oadr conformance``: ask any VTN, or let any VEN ask, whether it keeps to the standard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from oadr_conformance import (
    ALL,
    ALL_301,
    PROFILES,
    Check,
    Credential,
    Misused,
    ReceiverAddress,
    Refused,
    Run,
    Subject,
    Unreachable,
    profile_of,
    select,
)
from oadr_conformance import run as examine
from oadr_conformance.registry import NEEDS
from oadr_conformance.ven31.checks import ALL_VEN
from oadr_conformance.ven31.standing import PREFIXES as VEN_AREAS

from oadr.commands.conformance_20b import (
    BusinessLogicOption,
    Cert2Option,
    CertOption,
    ClientIdOption,
    ClientSecretOption,
    ExpiredCertOption,
    ExpiredKeyOption,
    FingerprintOption,
    HostileOption,
    Key2Option,
    KeyOption,
    Options20b,
    OrderCommandOption,
    SeedOption,
    SignedOption,
    StrangerCertOption,
    StrangerKeyOption,
    Ven2IdOption,
    VenIdOption,
    VtnIdOption,
    checks_20b,
)
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
from oadr.commands.conformance_ven import ven
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

app = typer.Typer(
    add_completion=False,
    help="Examine any VTN of OpenADR 3.1, 3.0.1 or 2.0b, or any VEN of OpenADR 3.1, over HTTP.",
    no_args_is_help=True,
    epilog=examples("conformance run http://127.0.0.1:8080/openadr3/3.1.0", "conformance explain PAGE-008"),
)

_CREDENTIAL = "ID:SECRET, a bearer token, or @FILE with either"
_COLUMNS = {"question": "Question", "cases": "Cases", "level": "Level", "basis": "Basis", "sentence": "Sentence"}


class ProfileName(StrEnum):
    """Versions of the standard the suite knows."""

    V31 = "3.1"
    V301 = "3.0.1"
    V20B = "2.0b"


class ExaminedRole(StrEnum):
    """Roles that the suite examines."""

    VTN = "vtn"
    VEN = "ven"


@app.command(
    name="run",
    epilog=examples(
        "conformance run https://vtn.example/openadr3/3.1.0 --only PAGE --html report.html",
        "conformance run https://vtn.example:8443 --profile 2.0b --cert ven.pem --key ven-key.pem --ca ca.pem",
    ),
)
def run_(
    url: Annotated[str, typer.Argument(help="The VTN: its API prefix, as https://vtn.example/openadr3/3.1.0.")],
    *,
    bl: Annotated[
        str, typer.Option(envvar="OADR_CONFORMANCE_BL", help=f"Business logic: {_CREDENTIAL}.", show_envvar=True)
    ] = "",
    ven: Annotated[str, typer.Option(envvar="OADR_CONFORMANCE_VEN", help="A VEN of the test alone: likewise.")] = "",
    ven2: Annotated[str, typer.Option(envvar="OADR_CONFORMANCE_VEN2", help="A second VEN: likewise.")] = "",
    ven3: Annotated[
        str | None, typer.Option(envvar="OADR_CONFORMANCE_VEN3", help="A third VEN that is never enrolled.")
    ] = None,
    expired_token: Annotated[
        str, typer.Option(envvar="OADR_CONFORMANCE_EXPIRED_TOKEN", help="A token that has expired.")
    ] = "",
    callback_url: Annotated[str, typer.Option(help="A webhook the VTN can reach and that answers its challenge.")] = "",
    receiver: Annotated[
        str,
        typer.Option(
            help="Where the VTN can call or push to the suite, as https://lab.example:8443: it listens there."
        ),
    ] = "",
    receiver_listen: Annotated[
        str, typer.Option(help="Listen at HOST:PORT instead: behind an address translation, or a proxy that ends TLS.")
    ] = "",
    receiver_cert: Annotated[
        Path | None, typer.Option(help="Certificate of the receiver, PEM, from an authority that the VTN trusts.")
    ] = None,
    receiver_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds that a notification, or a push, may take.")] = 15.0,
    profile: Annotated[ProfileName, typer.Option(help="Version of the standard.")] = ProfileName.V31,
    suite_profile: Annotated[
        str, typer.Option(help=f"How the VTN is configured: {' or '.join(PROFILES)}.")
    ] = "default",
    switch: Annotated[
        list[str] | None, typer.Option(help="A difference from that, as webhook.verify_echo=false; repeatable.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    cert2: Cert2Option = None,
    key2: Key2Option = None,
    stranger_cert: StrangerCertOption = None,
    stranger_key: StrangerKeyOption = None,
    expired_cert: ExpiredCertOption = None,
    expired_key: ExpiredKeyOption = None,
    ven_id: VenIdOption = "",
    ven2_id: Ven2IdOption = "",
    vtn_id: VtnIdOption = "",
    fingerprint: FingerprintOption = "",
    business_logic_url: BusinessLogicOption = "",
    client_id: ClientIdOption = "",
    client_secret: ClientSecretOption = "",
    order_command: OrderCommandOption = "",
    signed: SignedOption = False,
    hostile: HostileOption = 0,
    seed: SeedOption = 0,
    only: OnlyOption = None,
    strict: StrictOption = False,
    product: Annotated[str, typer.Option(help="Name of the VTN for the report; else from its Server header.")] = "",
    product_version: Annotated[str, typer.Option(help="Its version.")] = "",
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Authorities the VTN's certificate may come from too, PEM.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the VTN's TLS certificate.")] = False,
    html: HtmlOption = None,
    junit: JunitOption = None,
    json_file: JsonFileOption = None,
    as_json: ResultsAsJsonOption = False,
) -> None:
    """Examine a VTN. It needs clients of its own: their vens are set aside and put back afterwards.

    For OpenADR 2.0b it needs a client certificate that the VTN knows, --cert and --key. Events are made through the
    OpenADR 3.1 API of the same VTN, --business-logic-url; without it the checks that need events are skipped.

    To examine webhooks, and pushes of 2.0b, it needs a place at which the VTN can call it, --receiver; a VTN of 2.0b on
    this machine is told a free port without it. The broker is found by itself.

    Exit codes: 0 it conforms, 7 a check failed, 4 it cannot be reached, 5 a credential is refused, 2 wrong usage,
    130 interrupted.
    """
    with reporting():
        try:
            check_places(html, junit, json_file)
            of_20b = Options20b(
                identities={
                    "cert": (cert, key),
                    "cert2": (cert2, key2),
                    "stranger-cert": (stranger_cert, stranger_key),
                    "expired-cert": (expired_cert, expired_key),
                },
                ven_id=ven_id,
                ven2_id=ven2_id,
                vtn_id=vtn_id,
                fingerprint=fingerprint,
                business_logic_url=business_logic_url,
                client_id=client_id,
                client_secret=client_secret,
                order_command=order_command,
                signed=signed,
                hostile=hostile,
                seed=seed,
            )
            work: Callable[..., Awaitable[Run]]
            if profile is ProfileName.V20B:
                known = of_20b.checks()
                of_31 = (bl, ven, ven2, ven3, expired_token, callback_url)
                subject_20b = of_20b.subject(
                    url,
                    given_of_31=any(of_31),
                    switches=switch or (),
                    place=(receiver, receiver_listen, receiver_cert, receiver_key),
                    ca_file=ca,
                    verify_tls=not insecure,
                    patience_s=patience,
                    product=product,
                    version=product_version,
                )
                from oadr_conformance.v20b.examination import run20b  # with its own libraries

                work = partial(run20b, subject_20b)
            else:
                known = _known(profile)
                of_20b.none_given()
                _all_given(bl, ven, ven2)
                subject = Subject(
                    url=url,
                    bl=Credential.parse(bl),
                    ven=Credential.parse(ven),
                    ven2=Credential.parse(ven2),
                    stranger=Credential.parse(ven3) if ven3 else None,
                    expired_token=expired_token,
                    callback_url=callback_url,
                    profile=profile_of(suite_profile, switch or ()),
                    standard=profile.value,
                    verify_tls=not insecure,
                    ca_file=ca,
                    product=product,
                    version=product_version,
                    receiver=_receiver(receiver, receiver_listen, receiver_cert, receiver_key),
                    patience_s=patience,
                )
                work = partial(examine, subject)
            result = asyncio.run(examining(work, select(known, only or ()), len(known), profile.value))
        except Misused as error:
            raise Failure(str(error), Exit.USAGE) from error
        except Refused as error:
            raise Failure(str(error), Exit.UNAUTHORIZED) from error
        except Unreachable as error:
            raise Failure(str(error), Exit.UNREACHABLE) from error
        finish(result, strict=strict, as_json=as_json, html=html, junit=junit, json_file=json_file)


def _receiver(url: str, listen: str, certificate: Path | None, key: Path | None) -> ReceiverAddress | None:
    """Return where the VTN can call the suite, if anywhere."""
    if url:
        return ReceiverAddress(url, listen=listen, certificate=certificate, key=key)
    if listen or certificate or key:
        raise Misused("--receiver-listen, --receiver-cert and --receiver-key belong to a --receiver")
    return None


def _all_given(bl: str, ven: str, ven2: str) -> None:
    """
    Raises:
        Misused: a credential is not given.
    """
    missing = [name for name, given in {"--bl": bl, "--ven": ven, "--ven2": ven2}.items() if not given]
    if missing:
        raise Misused(
            f"Missing option {', '.join(missing)}: business logic and two VENs are needed, each {_CREDENTIAL}"
        )


app.command(
    epilog=examples(
        "conformance ven --at http://192.0.2.7:8093 --poll 5 --html report.html",
        "conformance ven --only RDESC --strict",
    )
)(ven)


@app.command(
    name="list", epilog=examples("conformance list --only 'EVT-*'", "conformance list --profile 2.0b --only B-EVT")
)
def list_(
    *,
    profile: Annotated[ProfileName, typer.Option(help="Version of the standard.")] = ProfileName.V31,
    of: Annotated[ExaminedRole, typer.Option("--of", help="What is examined.")] = ExaminedRole.VTN,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the checks: on a terminal cases of one question together, as JSON every one."""
    with reporting():
        try:
            checks = select(_known(profile, of), only or ())
        except Misused as error:
            raise Failure(str(error), Exit.USAGE) from error
        if wants_json(as_json):
            show_json([_told(check) for check in checks])
            return
        questions: dict[str, list[Check]] = {}
        for check in checks:
            questions.setdefault(f"{check.requirement}/{check.question}", []).append(check)
        rows = [
            {
                "question": question,
                "cases": len(cases),
                "level": cases[0].level.value,
                "basis": _basis(cases),
                "sentence": cases[0].sentence,
            }
            for question, cases in questions.items()
        ]
        title = f"{len(checks)} checks of {len({check.requirement for check in checks})} requirements"
        show_rows(rows, _COLUMNS, as_json=False, title=title, empty="no checks")


@app.command(epilog=examples("conformance explain PAGE-008", "conformance explain EVT-003 --json"))
def explain(
    name: Annotated[str, typer.Argument(help="A requirement or a check: PAGE-008.")],
    *,
    profile: Annotated[ProfileName, typer.Option(help="Version of the standard.")] = ProfileName.V31,
    as_json: JsonOption = False,
) -> None:
    """Say what a requirement asks for, what it rests on, and how it is checked."""
    with reporting():
        try:
            named = {"B-": ProfileName.V20B, "V301": ProfileName.V301}
            of = next((one for begin, one in named.items() if name.upper().startswith(begin)), profile)
            of_ven = name.upper().startswith(VEN_AREAS)
            checks = select(_known(of, ExaminedRole.VEN if of_ven else ExaminedRole.VTN), [name])
        except Misused as error:
            raise Failure(str(error), Exit.USAGE) from error
        if wants_json(as_json):
            show_json([_told(check) for check in checks])
            return
        questions: dict[tuple[str, str], list[Check]] = {}
        for check in checks:
            questions.setdefault((check.sentence, check.ruling), []).append(check)
        for (sentence, ruling), cases in questions.items():
            first = cases[0]
            typer.echo(f"{first.requirement}  {first.level}\n  {sentence}\n  rests on: {first.section}")
            if ruling:
                typer.echo(f"  our ruling, not the standard's: {ruling}")
            if first.also:
                typer.echo(f"  also: {', '.join(first.also)}")
            typer.echo(f"  needs: {', '.join(NEEDS[need] for need in sorted(first.needs))}\n  checks:")
            for check in cases:
                typer.echo(f"    {check.key}")


def _known(profile: ProfileName, of: ExaminedRole = ExaminedRole.VTN) -> tuple[Check, ...]:
    """
    Return the checks of a version of the standard.

    Raises:
        Misused: there are none of a VEN of that version.
    """
    if of is ExaminedRole.VEN:
        if profile is not ProfileName.V31:
            raise Misused(f"VENs are examined for OpenADR 3.1, not for {profile.value}")
        return ALL_VEN
    if profile is ProfileName.V20B:
        return checks_20b()
    return ALL_301 if profile is ProfileName.V301 else ALL


def _told(check: Check) -> dict[str, object]:
    return {
        "key": check.key,
        "requirements": list(check.requirements),
        "level": check.level.value,
        "needs": sorted(check.needs),
        "sentence": check.sentence,
        "section": check.section,
        "ruling": check.ruling,
    }


def _basis(checks: Sequence[Check]) -> str:
    """Return what the checks rest on: ``standard``, ``ruling``, or ``both``."""
    ruled = sum(bool(check.ruling) for check in checks)
    return "standard" if not ruled else "ruling" if ruled == len(checks) else "both"
