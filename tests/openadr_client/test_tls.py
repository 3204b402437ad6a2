"""Private keys that want a password: nobody is asked for it, for a service has no terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.pki import Pki

VTN = "vtn_context(certificate=Path(sys.argv[1]), key=Path(sys.argv[2]))"
BROKER = "broker_context(certificate=Path(sys.argv[1]), key=Path(sys.argv[2]))"
WEBHOOK = (
    "WebhookReceiver(None, name='x', settings=PushSettings("
    "callback_url='https://a.example', certificate=sys.argv[1], key=sys.argv[2]))._tls()"
)


@pytest.mark.parametrize("code", [VTN, BROKER, WEBHOOK])
def test_a_key_with_a_password_is_refused_and_nobody_is_asked(code: str, pki: Pki, tmp_path: Path) -> None:
    """Without a terminal OpenSSL reads the password from standard input, which has it here."""
    files = pki.client("home-1")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    password = serialization.BestAvailableEncryption(b"hush")
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, password))
    imports = (
        "import sys; from pathlib import Path; from openadr_client import PushSettings; "
        "from openadr_client.tls import broker_context, vtn_context; "
        "from openadr_client.webhook_receiver import WebhookReceiver"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; {code}", files.certificate, encrypted],
        input="hush\n",
        text=True,
        capture_output=True,
        start_new_session=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "BadCertificateFile" in done.stderr
    assert str(encrypted) in done.stderr
    assert "pass phrase" not in done.stdout + done.stderr
