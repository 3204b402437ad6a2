"""Addresses of VTNs and token servers, as settings and join lines give them."""

from __future__ import annotations

from urllib.parse import urlsplit


def web_address(url: str) -> str:
    """Return the URL of a VTN or token server without its last slash.

    Raises ValueError if it is none, if its port is none, or if it holds a password: URLs are in logs and errors.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(letter.isspace() for letter in url):
        raise ValueError("expected a URL such as https://vtn.example/openadr3/3.1.0")
    if "@" in parts.netloc:
        raise ValueError("expected no user name or password in the URL: client_id and client_secret are for them")
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise ValueError("expected a port from 1 to 65535 in the URL, or none")
    return url.rstrip("/")
