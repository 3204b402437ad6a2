"""Make pages of templates, beside the event loop: one thread does it, so that no control step waits for a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

if TYPE_CHECKING:
    from jinja2 import Environment

    from openadr_pages.assets import Assets

T = TypeVar("T")
PREFIX: Final = "page/"
_VARY: Final = {"Vary": "HX-Request, HX-Target, Cookie"}


class PageRenderer:
    """Make pages of ``folder``, which has ``templates`` and ``static``, served below ``PREFIX``.

    What it needs is loaded for the first of them: a VEN at which nobody looks has no templates.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._loaded: tuple[Environment, Assets] | None = None

    def close(self) -> None:
        """End the thread; what it is at is not waited for."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def work(self, call: Callable[..., T], *arguments: Any) -> T:
        """Return what a call comes to that is made in the thread of the pages."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, partial(call, *arguments))

    async def answer(
        self,
        request: web.Request,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Return a page, or the one block of it that a live update asks for."""
        block = None
        if request.headers.get("HX-Request") == "true":
            block = request.headers.get("HX-Target", "").replace("-", "_") or None
        text = await self.work(self._made, request.rel_url.raw_path, template, values, block)
        # Not before: the first import of this package loads Jinja, which took the loop half a second.
        from openadr_pages.headers import PRIVATE, SECURITY  # noqa: PLC0415

        answer = web.Response(text=text, status=status, content_type="text/html", headers=SECURITY | PRIVATE | _VARY)
        answer.headers.update(headers or {})
        return answer

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a file that pages load."""
        _, assets = await self.work(self._load)
        return await assets.handler(request)

    def _made(self, path: str, template: str, values: Mapping[str, Any], block: str | None) -> str:
        environment, assets = self._load()
        from openadr_pages.templating import has_block, render  # noqa: PLC0415 # see above

        root = root_of(path)
        given = {"asset": lambda name: f"{root}{PREFIX}{assets.url(name)}", "root": root, **values}
        if block is not None and not has_block(environment.get_template(template), block):
            block = None
        return render(environment, template, given, block=block)

    def _load(self) -> tuple[Environment, Assets]:
        if self._loaded is None:
            from jinja2 import FileSystemLoader  # noqa: PLC0415 # see above

            from openadr_pages import environment  # noqa: PLC0415 # see above
            from openadr_pages.assets import Assets  # noqa: PLC0415 # see above

            self._loaded = (environment(FileSystemLoader(self._folder / "templates")), Assets(self._folder / "static"))
        return self._loaded


def root_of(path: str) -> str:
    """Return the way from the path of a page up to the first one, as ``../``: pages work below whatever prefix."""
    return "../" * (path.count("/") - 1) or "./"
