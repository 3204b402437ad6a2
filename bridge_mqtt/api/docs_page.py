"""The description of the interface for people: one page that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content Security Policy of the page: it may load nothing but its own style."""
_STYLE: Final = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:60rem;margin:0 auto;padding:1rem}"
    "details{border:1px solid #8886;border-radius:.3rem;margin:.4rem 0;padding:.3rem .7rem}"
    "summary{cursor:pointer}b{display:inline-block;min-width:4.5rem}code{overflow-wrap:anywhere}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}"
)


def docs_page(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document of ``openapi.describe``."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    info = document["info"]
    operations = "".join(f"<h2>{escape(tag)}</h2>{''.join(some)}" for tag, some in by_tag.items())
    schemas = "".join(_shape(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info['description'])}</p><p>Version {escape(info['version'])}. "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>{operations}<h2>shapes</h2>{schemas}'
        "</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [("needs", _needs(operation["security"]))]
    rows += [(f"{each['in']} {each['name']}", each.get("description", "")) for each in operation["parameters"]]
    if "requestBody" in operation:
        rows.append(("body", _words(operation["requestBody"]["content"]["application/json"]["schema"])))
    for status, answered in operation["responses"].items():
        kinds = [_words(content["schema"]) for content in answered.get("content", {}).values()]
        rows.append((status, f"{answered['description']} {', '.join(filter(None, kinds))}"))
    head = f"<b>{method.upper()}</b><code>{escape(path)}</code> {escape(operation['summary'])}"
    return f"<details><summary>{head}</summary>{_table(rows)}</details>"


def _needs(security: list[dict[str, Any]]) -> str:
    if not security:
        return "nothing"
    return "a bearer token, if one is set" if {} in security else "a bearer token that may write"


def _shape(name: str, schema: dict[str, Any]) -> str:
    rows = [(member, _words(each)) for member, each in schema.get("properties", {}).items()]
    about = escape(schema.get("description", ""))
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {about}</summary>{_table(rows)}</details>'
    )


def _words(schema: dict[str, Any]) -> str:
    """Return what a schema allows, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_words(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_words(schema.get('items', {})) or 'anything'}"
    return str(schema.get("format") or schema.get("type") or "")


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return f"<table>{''.join(f'<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>' for a, b in rows)}</table>"
