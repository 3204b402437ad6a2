"""Settings of a program: flag > environment > TOML file > default, read once, checked at once, all mistakes together.

Environment variables carry the program's prefix and ``__`` between levels (``OADR_VTN_SERVER__PORT=8080``); a variable
ending in ``_FILE`` names a file that holds the value, which is how secrets are handed to a container.

The sources are put together here and not by pydantic-settings: that takes 0.06 s of every start, because it makes a
class for each reading and imports what it needs for sources of clouds.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from oadr.terminal.text import without_password

M = TypeVar("M", bound=BaseModel)


class ConfigError(Exception):
    """Settings that cannot be used: one line per mistake, each naming the setting and what was expected."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        super().__init__(f"configuration: {mistakes[0]}" if len(mistakes) == 1 else f"configuration mistakes:{lines}")


def load(
    model: type[M],
    *,
    prefix: str,
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> M:
    """Build ``model`` from its four sources; raises ConfigError naming every mistake.

    ``flags`` maps dotted setting names to values; None means "not given on the command line".
    """
    environment = os.environ if environment is None else environment
    mistakes: list[str] = []
    text = _read_toml(file, mistakes)
    variables = _variables(model, prefix, environment, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    given = _from_environment(model, prefix, variables, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    try:
        return model.model_validate(_merged(_merged(text, given), _nested(flags or {})))
    except ValidationError as error:
        raise ConfigError(
            [
                each + _halves(item, prefix, environment)
                for item in error.errors()
                for each in _mistakes(item, prefix, model, text)
            ]
        ) from None


def _read_toml(file: Path | None, mistakes: list[str]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"{file}: cannot be read ({error.strerror}); name an existing TOML file with --config")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{file}: not readable TOML: {error}")
    return {}


def _variables(
    model: type[BaseModel], prefix: str, environment: Mapping[str, str], mistakes: list[str]
) -> dict[str, str | None]:
    """The program's variables in lower case, ``_FILE`` ones replaced by what their files hold."""
    found: dict[str, str | None] = {}
    for name, value in environment.items():
        if not name.upper().startswith(prefix):
            continue
        key = name.lower()
        top = key[len(prefix) :].split("__")[0]
        if top in model.model_fields:
            found[key] = value
        elif key.endswith("_file") and top.removesuffix("_file") in model.model_fields:
            found |= _from_file(name, key.removesuffix("_file"), value, mistakes)
        else:
            mistakes.append(f"{name}: no such setting; known are {', '.join(sorted(model.model_fields))}")
        if "__" in key and key.endswith("_file") and not _has(model, key[len(prefix) :].split("__")):
            found.pop(key, None)
            found |= _from_file(name, key.removesuffix("_file"), value, mistakes)
    return found


def _from_environment(
    model: type[BaseModel], prefix: str, variables: Mapping[str, str | None], mistakes: list[str]
) -> dict[str, Any]:
    """Return the variables as nested settings. A list or a table is JSON; single members come on top of a table."""
    found: dict[str, Any] = {}
    for key in sorted(variables):  # so that a table comes before its members
        path = key[len(prefix) :].split("__")
        value: Any = variables[key]
        annotation = _annotation(model, path)
        if _is_complex(annotation):
            try:
                value = json.loads(value)
            except ValueError:
                if not _is_union(annotation):
                    mistakes.append(f"{prefix}{'__'.join(path).upper()}: not readable; {_JSON}")
        for name in reversed(path):
            value = {name: value}
        found = _merged(found, value)
    return found


_JSON: Final = 'lists and tables are JSON, as ["a", "b"]'


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together: a table has the members of both, anything else of ``above`` takes the place."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _annotation(model: type[BaseModel], path: list[str]) -> Any:
    """Return the type of the setting that a path leads to, None if it leads nowhere or into a table of any names."""
    table = _table(model, path[:-1])
    field = None if table is None else table.model_fields.get(path[-1])
    return None if field is None else field.annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, UnionType}


def _is_complex(annotation: Any) -> bool:
    """Return True for a table or a list, or a choice with one of them in it."""
    origin = get_origin(annotation)
    if origin is Annotated or _is_union(annotation):
        return any(_is_complex(each) for each in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and (
        issubclass(kind, BaseModel) or (issubclass(kind, Collection) and not issubclass(kind, str | bytes))
    )


def _has(model: type[BaseModel], path: list[str]) -> bool:
    field = model.model_fields.get(path[0])
    if field is None or len(path) == 1:
        return field is not None
    inner = field.annotation
    return not (isinstance(inner, type) and issubclass(inner, BaseModel)) or _has(inner, path[1:])


def _from_file(name: str, key: str, path: str, mistakes: list[str]) -> dict[str, str | None]:
    try:
        return {key: Path(path).read_text(encoding="utf-8").strip()}
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{name}: {path} cannot be read: {error}")
        return {}


def _nested(flags: Mapping[str, object]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is None:
            continue
        *parents, last = dotted.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return result


def _mistakes(item: Any, prefix: str, model: type[BaseModel], text: Mapping[str, Any]) -> list[str]:
    """A mistake in words; a missing table is as many as it has members that must be set."""
    path = [str(part) for part in item["loc"]]
    table = _table(model, path) if item["type"] == "missing" and not _is_list(model, path) else None
    needed = [name for name, field in table.model_fields.items() if field.is_required()] if table else []
    if needed:
        return [_mistake({**item, "loc": (*item["loc"], name)}, prefix, model, text) for name in needed]
    return [_mistake(item, prefix, model, text)]


def _mistake(item: Any, prefix: str, model: type[BaseModel], text: Mapping[str, Any]) -> str:
    path = [str(part) for part in item["loc"]]
    where = _named(path, text) or "settings"
    problem = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{where}: missing; set it in the file, as {prefix}{'__'.join(path).upper()}, or as a flag"
    if item["type"] == "extra_forbidden":
        return f"{where}: no such setting{_meant(model, path)}"
    shown = item.get("input")
    may_show = isinstance(shown, str | int | float | bool) and not _holds_secret(model, path)
    value = f" (got {without_password(repr(shown))})" if may_show else ""
    return f"{where}: {problem[:1].lower()}{problem[1:]}{value}"


def _halves(item: Any, prefix: str, environment: Mapping[str, str]) -> str:
    """Name the variables that gave members of a table which do not fit together: they are easily forgotten."""
    if item["type"] != "value_error" or "belong together" not in item["msg"]:
        return ""
    start = prefix + "".join(f"{part}__" for part in item["loc"]).upper()
    given = [
        name
        for name in sorted(environment)
        if name.upper().startswith(start) and name[len(start) :].lower().removesuffix("_file") in item["msg"]
    ]
    return f" ({' and '.join(given)} {'is' if len(given) == 1 else 'are'} set)" if given else ""


def _named(path: list[str], text: Any) -> str:
    """A path for people: a member of a list goes by its id or name in the file, as ``circuits[ev].breaker_amps``."""
    parts: list[str] = []
    for part in path:
        if isinstance(text, list) and part.isdigit() and int(part) < len(text):
            text = text[int(part)]
            known = [text.get(name) for name in ("id", "ven_id", "name")] if isinstance(text, dict) else []
            called = next((each for each in known if isinstance(each, str)), None)
            if called is not None and parts:
                parts[-1] += f"[{called}]"
                continue
        else:
            text = text.get(part) if isinstance(text, dict) else None
        parts.append(part)
    return ".".join(parts)


def _meant(model: type[BaseModel], path: list[str]) -> str:
    """The known setting of the same table that the last part of a path is likely a misspelling of."""
    from difflib import get_close_matches

    table = _table(model, path[:-1])
    close = get_close_matches(path[-1], table.model_fields, n=1) if table else []
    return f"; did you mean {close[0]}?" if close else ""


def _table(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """The model of the table that a path leads to, None if it leads elsewhere."""
    found: type[BaseModel] | None = model
    for part in path:
        if found is None or part.isdigit():
            continue
        field = found.model_fields.get(part)
        found = None if field is None else _model_in(field.annotation)
    return found


def _is_list(model: type[BaseModel], path: list[str]) -> bool:
    """Return True if a path leads to a list of tables, such as the circuits of a VEN."""
    parent = _table(model, path[:-1])
    field = None if parent is None else parent.model_fields.get(path[-1])
    return field is not None and get_origin(field.annotation) in {tuple, list}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    kinds = [annotation, *get_args(annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _holds_secret(model: type[BaseModel], path: list[str]) -> bool:
    """True for a setting whose value must not be shown: one of a secret type, or called so."""
    if any(word in ".".join(path).lower() for word in ("secret", "password", "token", "key")):
        return True
    field = model.model_fields.get(path[0]) if path else None
    if field is None:
        return False
    if "SecretStr" in repr(field.annotation):
        return True
    kinds = (field.annotation, *get_args(field.annotation))
    inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return inner is not None and _holds_secret(inner, path[1:])
