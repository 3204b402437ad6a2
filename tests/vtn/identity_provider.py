"""An authorisation server of somebody else's: publishes keys over a real socket and signs tokens."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # takes long: one for all


def private_key(kind: str) -> Private:
    """A key of a kind: RSA, P-256, P-384 or Ed25519."""
    match kind:
        case "RSA":
            return _RSA
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def jwk_of(key: Private, **members: Any) -> dict[str, Any]:
    """The public part as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(key.public_key())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        text = ECAlgorithm.to_jwk(key.public_key())
    else:
        text = OKPAlgorithm.to_jwk(key.public_key())
    jwk: dict[str, Any] = json.loads(text)
    return jwk | {name: value for name, value in members.items() if value is not None}


class IdentityProvider:
    """``keys`` is what it publishes, ``fetched`` how often it was asked; ``status`` can be made to fail."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.fetched = 0
        self.status = 200
        self.url = ""
        self._private: dict[str | None, tuple[Private, str]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/jwks", self._publish)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def add_key(self, kid: str | None, kind: str = "P-256", algorithm: str = "ES256", **members: Any) -> None:
        """Publish a key, and sign with it."""
        key = private_key(kind)
        self._private[kid] = (key, algorithm)
        self.keys.append(jwk_of(key, kid=kid, **members))

    def token(self, claims: dict[str, Any], kid: str | None = "one") -> str:
        """A token signed with the key of that id."""
        key, algorithm = self._private[kid]
        return jwt.encode(claims, key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})

    def settings(self, **members: Any) -> dict[str, Any]:
        """Return the settings of a VTN for this server."""
        own = {"issuer": self.url, "audience": "vtn", "jwks_url": f"{self.url}/jwks", "token_url": f"{self.url}/token"}
        return own | members

    async def _publish(self, _: web.Request) -> web.Response:
        self.fetched += 1
        return web.json_response({"keys": self.keys}, status=self.status)
