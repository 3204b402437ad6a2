"""Set the headers of pages: what they may load, that nobody frames or caches them, and that no address leaks."""

from __future__ import annotations

from typing import Final

SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Every page has these. ``data:`` in images is for the small icons inside the style sheet."""

PRIVATE: Final = {"Cache-Control": "no-store"}
"""For pages that show what only their reader may see."""

FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
"""For files whose name changes with their content."""
