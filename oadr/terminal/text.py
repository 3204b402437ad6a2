"""Text from outside made safe for a terminal: control characters are shown, never sent.

A venName, a program's name or an error of a server is data. Printed raw, an escape sequence in it could clear the
screen, rewrite a line above or fill the clipboard. ``visible`` shows such a character as ``\\x1b`` or ``\\u202e``.
"""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls, DEL, soft hyphen, marks that turn the direction of writing or have no width, line separators,
# lone surrogates, the tag characters and the byte order mark.
_UNSAFE: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ud800-\\udfff\\ufeff"
    "\\ufff9-\\ufffb\\U000e0000-\\U000e007f]"
)
_PASSWORD: Final = re.compile(r"(://[^/@\s]*?:)[^/\s]*@")


def visible(text: str, *, keep: str = "") -> str:
    """Return the text with every control or invisible formatting character spelled out; those in ``keep`` stay."""
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _spelled(match[0]), text)


def visible_json(text: str) -> str:
    """Return a JSON document with the same characters as JSON escapes; its own line ends stay, its meaning too."""
    return _UNSAFE.sub(lambda match: "\n" if match[0] == "\n" else _json_escape(match[0]), text)


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def without_password(text: str) -> str:
    """Return a text with asterisks in the place of a password in a URL: ``mqtt://user:***@host``."""
    return _PASSWORD.sub(r"\1***@", text)
