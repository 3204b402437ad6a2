"""The description of the API for people: one page of our own, which loads nothing from anywhere."""

from __future__ import annotations

from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem }
h2 { margin-top: 2.5rem; text-transform: capitalize; border-bottom: 1px solid #8886 }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700 }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884 }
"""

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content Security Policy of the page: it may load nothing but its own style."""


def page(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    info = document["info"]
    server = document["servers"][0]["url"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items())
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        f"<p>Version {escape(info['version'])}, below <code>{escape(server)}</code>. "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}<h2>Objects</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = [scope for entry in operation["security"] for found in entry.values() for scope in found]
    if scopes and {} in operation["security"]:
        scopes.append("no token for what is public")
    rows = [("Caller needs one of", ", ".join(scopes) or "nothing")]
    if note := operation.get("description"):
        rows.insert(0, ("Note", note))
    rows += [
        (f"{parameter['in']} {parameter['name']}", parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    if body := operation.get("requestBody"):
        rows += [("Body", f"{media}: {_words(content['schema'])}") for media, content in body["content"].items()]
    for status, answer in operation["responses"].items():
        kinds = ", ".join(_words(content["schema"]) for content in answer.get("content", {}).values())
        rows.append((status, f"{answer['description']} ({kinds})" if kinds else answer["description"]))
    return (
        f'<details><summary><span class="method">{method.upper()}</span><code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>{_table(rows)}</details>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (member + ("" if member in required else " (optional)"), _words(found))
        for member, found in schema.get("properties", {}).items()
    ]
    about = escape(schema.get("description", ""))
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {about}</summary>{_table(rows)}</details>'
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th><code>{escape(key)}</code></th><td>{escape(value)}</td></tr>" for key, value in rows)
    return f"<table>{cells}</table>"


def _words(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_words(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'])}"
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"])
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if key in schema]
    return " ".join([str(schema.get("format", schema.get("type", "anything"))), *limits])


_LIMITS: Final = {
    "minLength": "at least",
    "maxLength": "at most",
    "minimum": "from",
    "maximum": "to",
    "pattern": "matching",
}
