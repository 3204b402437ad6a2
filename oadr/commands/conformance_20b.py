"""Options of ``oadr conformance run`` that belong to OpenADR 2.0b, and what the suite makes of them."""

from __future__ import annotations

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from oadr_conformance import Check, Credential, Misused, ReceiverAddress
from oadr_conformance.v20b.subject import ClientCert, Subject20b

_PANEL = "OpenADR 2.0b"
_ORDER_S = 60.0

CertOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--cert", rich_help_panel=_PANEL, help="Client certificate of the suite's VEN, PEM, enrolled there."),
]
KeyOption: TypeAlias = Annotated[
    Path | None, typer.Option("--key", rich_help_panel=_PANEL, help="Its private key, PEM.")
]
Cert2Option: TypeAlias = Annotated[
    Path | None, typer.Option("--cert2", rich_help_panel=_PANEL, help="Certificate of a second enrolled VEN.")
]
Key2Option: TypeAlias = Annotated[Path | None, typer.Option("--key2", rich_help_panel=_PANEL, help="Its key.")]
StrangerCertOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--stranger-cert", rich_help_panel=_PANEL, help="A certificate the VTN trusts and that nobody enrolled."
    ),
]
StrangerKeyOption: TypeAlias = Annotated[
    Path | None, typer.Option("--stranger-key", rich_help_panel=_PANEL, help="Its key.")
]
ExpiredCertOption: TypeAlias = Annotated[
    Path | None, typer.Option("--expired-cert", rich_help_panel=_PANEL, help="A certificate that has expired.")
]
ExpiredKeyOption: TypeAlias = Annotated[
    Path | None, typer.Option("--expired-key", rich_help_panel=_PANEL, help="Its key.")
]
VenIdOption: TypeAlias = Annotated[
    str, typer.Option(rich_help_panel=_PANEL, help="venID that the VTN gave --cert before; else it is learnt.")
]
Ven2IdOption: TypeAlias = Annotated[str, typer.Option(rich_help_panel=_PANEL, help="The same of --cert2.")]
VtnIdOption: TypeAlias = Annotated[str, typer.Option(rich_help_panel=_PANEL, help="vtnID that the VTN has to have.")]
FingerprintOption: TypeAlias = Annotated[
    str, typer.Option(rich_help_panel=_PANEL, help="Fingerprint that was enrolled: that of --cert, or it is refused.")
]
BusinessLogicOption: TypeAlias = Annotated[
    str,
    typer.Option(
        rich_help_panel=_PANEL,
        help="OpenADR 3.1 API of the same VTN, through which events are made: https://vtn.example/openadr3/3.1.0.",
    ),
]
ClientIdOption: TypeAlias = Annotated[str, typer.Option(rich_help_panel=_PANEL, help="Client of business logic there.")]
ClientSecretOption: TypeAlias = Annotated[
    str,
    typer.Option(envvar="OADR_CONFORMANCE_CLIENT_SECRET", rich_help_panel=_PANEL, help="Its secret, or @FILE."),
]
SignedOption: TypeAlias = Annotated[
    bool, typer.Option("--signed", rich_help_panel=_PANEL, help="The VTN demands XML signatures of this VEN.")
]
OrderCommandOption: TypeAlias = Annotated[
    str,
    typer.Option(
        rich_help_panel=_PANEL,
        help="Command by which an operator of the VTN orders something of the suite's VEN; "
        "{order} in it is reregister or unregister: 'oadr vens {order} NAME'.",
    ),
]
HostileOption: TypeAlias = Annotated[
    int, typer.Option(min=0, max=1_000_000, rich_help_panel=_PANEL, help="Send this many generated bad documents too.")
]
SeedOption: TypeAlias = Annotated[
    int, typer.Option(rich_help_panel=_PANEL, help="Number they are generated from: the same one gives the same.")
]


@dataclass(frozen=True)
class Options20b:
    """Options of 2.0b as they were given."""

    identities: Mapping[str, tuple[Path | None, Path | None]]
    ven_id: str
    ven2_id: str
    vtn_id: str
    fingerprint: str
    business_logic_url: str
    client_id: str
    client_secret: str
    order_command: str
    signed: bool
    hostile: int
    seed: int

    def none_given(self) -> None:
        """
        Raises:
            Misused: one of them was given, and the profile is another.
        """
        ids = (self.ven_id, self.ven2_id, self.vtn_id, self.fingerprint)
        texts = (*ids, self.business_logic_url, self.client_id, self.order_command)
        files = (path for pair in self.identities.values() for path in pair)
        if any(texts) or any(files) or self.signed or self.hostile:
            raise Misused("client certificates, --business-logic-url and the like belong to --profile 2.0b")

    def subject(
        self,
        url: str,
        *,
        given_of_31: bool,
        switches: Sequence[str],
        place: tuple[str, str, Path | None, Path | None],
        **parts: Any,
    ) -> Subject20b:
        """Return the VTN under test; ``place`` is where it can push to: URL, HOST:PORT to listen at, certificate, key.

        Raises:
            Misused: options of 3.1 were given, or these contradict each other.
        """
        if given_of_31:
            raise Misused(
                "--bl, --ven, --ven2 and --callback-url belong to OpenADR 3; "
                "2.0b takes --cert and --key, and --business-logic-url with --client-id and --client-secret"
            )
        for switch in switches:
            if switch not in {"rulings.binding=true", "rulings.binding=false"}:
                raise Misused(f"2.0b knows the switch rulings.binding=true, not {switch!r}")
        found = {name: _identity(name, *pair) for name, pair in self.identities.items()}
        return Subject20b(
            url=url,
            ven=found["cert"],
            ven2=found["cert2"],
            stranger=found["stranger-cert"],
            expired=found["expired-cert"],
            ven_id=self.ven_id,
            ven2_id=self.ven2_id,
            vtn_id=self.vtn_id,
            fingerprint=self.fingerprint,
            business_logic_url=self.business_logic_url,
            bl=self._business_logic(),
            receiver=_receiver(*place, found["cert"]),
            order=_ordering(self.order_command),
            rulings="rulings.binding=true" in switches,
            signed=self.signed,
            **parts,
        )

    def checks(self) -> tuple[Check, ...]:
        """Return every check of 2.0b, and the generated ones that were asked for.

        Raises:
            Misused: the libraries of 2.0b are not installed.
        """
        return checks_20b(self.hostile, self.seed)

    def _business_logic(self) -> Credential | None:
        if bool(self.client_id) != bool(self.client_secret):
            raise Misused("--client-id and --client-secret belong together")
        if not self.client_id:
            return None
        secret = self.client_secret
        if secret.startswith("@"):
            try:
                secret = Path(secret[1:]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise Misused(f"cannot read the secret in {secret[1:]}: {error.strerror}") from error
        return Credential(client_id=self.client_id, client_secret=secret)


def checks_20b(hostile: int = 0, seed: int = 0) -> tuple[Check, ...]:
    """Return every check of 2.0b, with so many generated bad documents.

    Raises:
        Misused: the libraries of 2.0b are not installed.
    """
    try:
        from oadr_conformance.v20b.checks import ALL20B
        from oadr_conformance.v20b.hostile import hostile_checks
    except ImportError as error:
        raise Misused(f"2.0b needs {error.name}: pip install 'openadr-fleet[oadr20b]'") from error
    return (*ALL20B, *hostile_checks(hostile, seed))


def _identity(name: str, certificate: Path | None, key: Path | None) -> ClientCert | None:
    if (certificate is None) != (key is None):
        raise Misused(f"--{name} and --{name.replace('cert', 'key')} belong together")
    if certificate is None or key is None:
        return None
    for path in (certificate, key):
        if not path.is_file():
            raise Misused(f"there is no file {path}")
    return ClientCert(certificate, key)


def _receiver(
    url: str, listen: str, certificate: Path | None, key: Path | None, ven: ClientCert | None
) -> ReceiverAddress | None:
    """Return where the VTN can push to, if it was given; without a certificate of its own the VEN shows that of --cert.

    Raises:
        Misused: the options contradict each other.
    """
    if not url:
        if listen or certificate or key:
            raise Misused("--receiver-listen, --receiver-cert and --receiver-key belong to a --receiver")
        return None
    if url.startswith("https:") and certificate is None and key is None and ven is not None:
        certificate, key = ven.certificate, ven.key
    return ReceiverAddress(url, listen=listen, certificate=certificate, key=key)


def _ordering(command: str) -> Callable[[str], Awaitable[None]] | None:
    """Return what runs the command of an operator.

    Raises:
        Misused: it is none.
    """
    if not command:
        return None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Misused(f"--order-command is no command: {error}") from error
    if not any("{order}" in word for word in words):
        raise Misused("--order-command has {order} in it, for which reregister or unregister is put")

    async def order(name: str) -> None:
        asked = [word.replace("{order}", name) for word in words]
        try:
            work = await asyncio.create_subprocess_exec(
                *asked, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True
            )
        except OSError as error:
            raise Misused(f"--order-command cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(_ORDER_S):
                _, said = await work.communicate()
        except TimeoutError:
            work.kill()
            await work.wait()
            raise Misused(f"--order-command did not end within {_ORDER_S:g} s") from None
        if work.returncode:
            raise Misused(
                f"--order-command ended with {work.returncode}: {said.decode(errors='replace')[-300:].strip()}"
            )

    return order
