"""The environment of templates: escaping on, nothing undefined passes, and the filters and macros of all pages."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, StrictUndefined, Template
from jinja2.loaders import PackageLoader

from openadr_pages.filters import FILTERS, NO_DATA

MACROS: Final = "macros.html"


def environment(*loaders: BaseLoader) -> Environment:
    """Return an environment over these loaders, with the templates of this package behind them.

    Templates see the filters of ``openadr_pages.filters``, ``no_data``, and ``zone``, the time zone of the reader, UTC
    unless it is changed in ``globals`` or given to a template.
    """
    made = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("openadr_pages", "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters.update(FILTERS)
    made.globals.update(zone=UTC, no_data=NO_DATA)
    return made


def render(made: Environment, name: str, values: dict[str, Any], *, block: str | None = None) -> str:
    """Return a page, or one of its blocks, with ``ui``: the macros, which know what the page knows (``csrf_token``).

    What a template sets outside its blocks is not there when a block is rendered alone. Raises TemplateNotFound, and
    KeyError for a block that the template does not have itself.
    """
    template = made.get_template(name)
    with_macros = values | {"ui": made.get_template(MACROS).make_module(values)}
    if block is None:
        return template.render(with_macros)
    return "".join(template.blocks[block](template.new_context(with_macros)))


def has_block(template: Template, name: str) -> bool:
    """Return True if a template has a block of this name itself, not by what it extends."""
    return name in template.blocks
