"""Signatures of webhooks: as Standard Webhooks says, with a secret for each client, and keys that can be replaced."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from oadr.__main__ import app
from openadr_client.signatures import is_signed, signing_key
from tests.support.pki import Pki
from tests.vtn.test_webhook_channel import BODY, NOW, delivery, endpoint, receiving
from vtn.errors import SecretsKeyUnusable
from vtn.notification_settings import Webhook
from vtn.notify.signature import WebhookSigner
from vtn.notify.url_judge import UrlJudge
from vtn.notify.webhook import WebhookChannel


def key_file(folder: Path, *keys: bytes) -> Path:
    """A file with these keys, for its owner only."""
    file = folder / "signing.key"
    file.write_text("# keys\n" + "".join(f"{base64.b64encode(key).decode()}\n" for key in keys))
    file.chmod(0o600)
    return file


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Judge as a receiver of ours does, which was written after the standard, too."""
    return is_signed(headers, body, key=signing_key(secret), now=NOW + timedelta(seconds=5))


async def test_a_notification_is_signed_for_its_client(pki: Pki, tmp_path: Path) -> None:
    """WEBHOOK-029: what was signed is the body as it was sent, with the id of the notification and the time."""
    signer = WebhookSigner(key_file(tmp_path, b"k" * 32))
    async with receiving(pki) as receiver:
        bodies = []

        async def keep(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response()

        receiver.answering = keep
        judge = UrlJudge(Webhook(allowed=("127.0.0.1",), ca_file=pki.ca))
        channel = WebhookChannel(judge, lambda _, face: BODY, lambda: NOW, signer)
        await channel.send(endpoint(receiver.url), [delivery(1)], lambda _: None)
        await channel.close()
    headers = receiver.requests[0].headers
    assert headers["webhook-id"] == headers["X-Request-ID"]
    assert is_genuine(headers, bodies[0], signer.secret("home-1"))
    assert not is_genuine(headers, bodies[0] + b" ", signer.secret("home-1"))
    assert not is_genuine(headers, bodies[0], signer.secret("home-2"))


def test_a_key_is_replaced_without_a_gap(tmp_path: Path) -> None:
    """Receivers with the old secret and those with the new one both find their signature."""
    old = WebhookSigner(key_file(tmp_path, b"o" * 32)).secret("home-1")
    both = WebhookSigner(key_file(tmp_path, b"n" * 32, b"o" * 32))
    headers = both.headers("home-1", id_="m-1", at_s=int(NOW.timestamp()), body=BODY)
    assert both.secret("home-1") != old
    assert is_genuine(headers, BODY, old)
    assert is_genuine(headers, BODY, both.secret("home-1"))
    after = WebhookSigner(key_file(tmp_path, b"n" * 32))
    headers = after.headers("home-1", id_="m-1", at_s=int(NOW.timestamp()), body=BODY)
    assert not is_genuine(headers, BODY, old)


@pytest.mark.parametrize("content", [b"", b"# only words\n", b"short\n", b"\xff\n", base64.b64encode(b"x" * 31)])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "signing.key"
    file.write_bytes(content)
    with pytest.raises(SecretsKeyUnusable, match=r"webhook\.signing_key_file.*expected 32 bytes in base64"):
        WebhookSigner(file)
    with pytest.raises(SecretsKeyUnusable, match="cannot be read"):
        WebhookSigner(tmp_path / "missing")


def test_an_operator_is_shown_a_clients_secret(tmp_path: Path) -> None:
    """`oadr vtn client webhook-secret`; it says so where nothing is signed."""
    file = key_file(tmp_path, b"a key of a server, of 32 bytes..."[:32])
    config = tmp_path / "vtn.toml"
    config.write_text(f'[webhook]\nsigning_key_file = "{file}"\n')
    config.chmod(0o600)
    command = ["vtn", "client", "webhook-secret", "home-1", "--config", str(config)]
    shown = CliRunner().invoke(app, command)
    assert json.loads(shown.stdout) == {"client_id": "home-1", "webhook_secret": WebhookSigner(file).secret("home-1")}
    config.write_text("")
    failed = CliRunner().invoke(app, command)
    assert failed.exit_code == 2
    assert "webhook.signing_key_file names no file" in failed.output
