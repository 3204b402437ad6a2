"""Private keys of the VTN that have a password: nobody is asked for it, for a service has no terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.pki import Pki

SERVER = "ServerTls(Tls(cert=Path(sys.argv[1]), key=Path(sys.argv[2])))"
BROKER = "tls_context(Mqtt(url='mqtts://127.0.0.1', cert=Path(sys.argv[1]), key=Path(sys.argv[2])))"
IMPORTS = (
    "import sys; from pathlib import Path; from vtn.http.tls import ServerTls; from vtn.settings import Tls; "
    "from vtn.notification_settings import Mqtt; from vtn.notify.mqtt import tls_context"
)


@pytest.mark.parametrize(("code", "named"), [(SERVER, ""), (BROKER, "mqtt.cert, mqtt.key: ")])
def test_a_key_with_a_password_is_refused_and_nobody_is_asked(code: str, named: str, pki: Pki, tmp_path: Path) -> None:
    """Without a terminal OpenSSL reads the password from standard input, which has it here."""
    files = pki.client("vtn")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    password = serialization.BestAvailableEncryption(b"hush")
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, password))
    done = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}; {code}", files.certificate, encrypted],
        input="hush\n",
        text=True,
        capture_output=True,
        start_new_session=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"{named}the key in {encrypted} has a password: expected a key without one" in done.stderr
    assert "pass phrase" not in done.stdout + done.stderr
