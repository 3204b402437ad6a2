"""``oadr conformance``: ask any VTN over HTTP whether it keeps to the standard."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from oadr_conformance import (
    ALL,
    ALL_301,
    INTERRUPTED,
    PROFILES,
    Check,
    Credential,
    Misused,
    Outcome,
    ReceiverAddress,
    Refused,
    Result,
    Run,
    Subject,
    Unreachable,
    profile_of,
    select,
)
from oadr_conformance import run as examine
from oadr_conformance.registry import NEEDS
from oadr_conformance.reports import html_page, json_text, junit_xml, show
from rich.console import Console
from rich.progress import Progress, TextColumn

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
    SeedOption,
    SignedOption,
    StrangerCertOption,
    StrangerKeyOption,
    Ven2IdOption,
    VenIdOption,
    VtnIdOption,
    checks_20b,
)
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

app = typer.Typer(
    add_completion=False,
    help="Examine any VTN of OpenADR 3.1, 3.0.1 or 2.0b over HTTP.",
    no_args_is_help=True,
    epilog=examples("conformance run http://127.0.0.1:8080/openadr3/3.1.0", "conformance explain PAGE-008"),
)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CREDENTIAL = "ID:SECRET, a bearer token, or @FILE with either"
_COLUMNS = {"question": "Question", "cases": "Cases", "level": "Level", "basis": "Basis", "sentence": "Sentence"}

OnlyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="An area, requirement or check, with * and ?: PAGE, EVT-003, 'TIME-00*'; repeatable."),
]


class ProfileName(StrEnum):
    """Versions of the standard the suite knows."""

    V31 = "3.1"
    V301 = "3.0.1"
    V20B = "2.0b"


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
        typer.Option(help="Where the VTN can call the suite, as https://lab.example:8443: it listens there."),
    ] = "",
    receiver_listen: Annotated[
        str, typer.Option(help="Listen at HOST:PORT instead: behind an address translation, or a proxy that ends TLS.")
    ] = "",
    receiver_cert: Annotated[
        Path | None, typer.Option(help="Certificate of the receiver, PEM, from an authority that the VTN trusts.")
    ] = None,
    receiver_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds that a notification may take.")] = 15.0,
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
    signed: SignedOption = False,
    hostile: HostileOption = 0,
    seed: SeedOption = 0,
    only: OnlyOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Failed SHOULDs and skipped MUSTs count against the VTN too.")
    ] = False,
    product: Annotated[str, typer.Option(help="Name of the VTN for the report; else from its Server header.")] = "",
    product_version: Annotated[str, typer.Option(help="Its version.")] = "",
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Authorities the VTN's certificate may come from too, PEM.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the VTN's TLS certificate.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with all results here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json-file", help="Write JSON here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON instead of tables.")] = False,
) -> None:
    """Examine a VTN. It needs clients of its own: their vens are set aside and put back afterwards.

    For OpenADR 2.0b it needs a client certificate that the VTN knows, --cert and --key. Events are made through the
    OpenADR 3.1 API of the same VTN, --business-logic-url; without it the checks that need events are skipped.

    To examine webhooks it needs a place at which the VTN can call it, --receiver. The broker is found by itself.

    Exit codes: 0 it conforms, 7 a check failed, 4 it cannot be reached, 5 a credential is refused, 2 wrong usage,
    130 interrupted.
    """
    with reporting():
        try:
            for path in (html, junit, json_file):
                _check_place(path)
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
                signed=signed,
                hostile=hostile,
                seed=seed,
            )
            work: Callable[..., Awaitable[Run]]
            if profile is ProfileName.V20B:
                known = of_20b.checks()
                of_31 = (bl, ven, ven2, ven3, expired_token, callback_url, receiver)
                subject_20b = of_20b.subject(
                    url,
                    given_of_31=any(of_31),
                    switches=switch or (),
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
            result = asyncio.run(_examine(work, select(known, only or ()), len(known), profile.value))
        except Misused as error:
            raise Failure(str(error), Exit.USAGE) from error
        except Refused as error:
            raise Failure(str(error), Exit.UNAUTHORIZED) from error
        except Unreachable as error:
            raise Failure(str(error), Exit.UNREACHABLE) from error
        _show(result, strict=strict, as_json=as_json)
        _write(html, lambda: html_page(result, strict=strict))
        _write(junit, lambda: junit_xml(result))
        _write(json_file, lambda: json_text(result, strict=strict))
        if result.cut_short:
            raise typer.Exit(Exit.INTERRUPTED if result.cut_short == INTERRUPTED else Exit.UNREACHABLE)
        if not result.conforms(strict=strict):
            raise typer.Exit(Exit.CHECK_FAILED)


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


async def _examine(work: Callable[..., Awaitable[Run]], checks: Sequence[Check], known: int, profile_name: str) -> Run:
    """Make the checks, with a bar on a terminal; the first Ctrl-C ends the run after it has cleaned up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    console = Console(stderr=True)

    def interrupt() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)  # the second one does what it always does
        stop.set()
        console.print("stopping: the check at work cleans up")

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[key]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Checks", total=len(checks), key="")

        def advance(result: Result) -> None:
            bar.advance(task)
            if result.outcome is Outcome.FAIL:
                bar.update(task, key=f"failed: {result.check.key}")

        try:
            return await work(checks, profile_name=profile_name, progress=advance, stop=stop, of=known)
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


@app.command(
    name="list", epilog=examples("conformance list --only 'EVT-*'", "conformance list --profile 2.0b --only B-EVT")
)
def list_(
    *,
    profile: Annotated[ProfileName, typer.Option(help="Version of the standard.")] = ProfileName.V31,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the checks: on a terminal cases of one question together, as JSON every one."""
    with reporting():
        try:
            checks = select(_known(profile), only or ())
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
            checks = select(_known(of), [name])
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


def _known(profile: ProfileName) -> tuple[Check, ...]:
    """Return the checks of a version of the standard."""
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


def _check_place(path: Path | None) -> None:
    """Fail before the run, which takes a while, if the report cannot be written."""
    if path is None:
        return
    place = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(place, os.W_OK):
        why = "it is a folder" if path.is_dir() else "no such folder" if not path.parent.is_dir() else "not permitted"
        raise Failure(f"cannot write {path}: {why}", Exit.USAGE)


def _write(path: Path | None, text: Callable[[], str]) -> None:
    if path is None:
        return
    try:
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", Exit.USAGE) from error


def _show(result: Run, *, strict: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text(result, strict=strict), nl=False)
    else:
        show(result, Console(), strict=strict)
