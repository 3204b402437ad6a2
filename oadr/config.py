"""Settings of a program: flag > environment > TOML file > default, read once, checked at once, all mistakes together.

Environment variables carry the program's prefix and ``__`` between levels (``OADR_VTN_SERVER__PORT=8080``); a variable
ending in ``_FILE`` names a file that holds the value, which is how secrets are handed to a container.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

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
    settings = _settings_class(model, prefix, variables, text, _nested(flags or {}))
    try:
        found = settings()
    except ValidationError as error:
        raise ConfigError([_mistake(item, prefix, model) for item in error.errors()]) from None
    except SettingsError as error:
        name = str(error).split('"')[1].upper()
        raise ConfigError([f'{prefix}{name}: not readable; lists and tables are JSON, as ["a", "b"]']) from None
    return model.model_validate(found.model_dump(exclude_unset=True))


def _settings_class(
    model: type[M], prefix: str, variables: dict[str, str | None], text: dict[str, Any], flags: dict[str, Any]
) -> type[BaseSettings]:
    class _Environment(EnvSettingsSource):
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return variables

    class _Loaded(BaseSettings, model):  # type: ignore[misc, valid-type] # the model is the argument
        model_config = SettingsConfigDict(env_prefix=prefix, env_nested_delimiter="__", extra="forbid")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                InitSettingsSource(settings_cls, flags),
                _Environment(settings_cls),
                InitSettingsSource(settings_cls, text),
            )

    return _Loaded


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


def _mistake(item: Any, prefix: str, model: type[BaseModel]) -> str:
    path = [str(part) for part in item["loc"]]
    where = ".".join(path) or "settings"
    problem = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{where}: missing; set it in the file, as {prefix}{'__'.join(path).upper()}, or as a flag"
    if item["type"] == "extra_forbidden":
        return f"{where}: no such setting"
    shown = item.get("input")
    may_show = isinstance(shown, str | int | float | bool) and not _holds_secret(model, path)
    value = f" (got {shown!r})" if may_show else ""
    return f"{where}: {problem[:1].lower()}{problem[1:]}{value}"


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
