"""Tell what all pages load and are made of."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from jinja2 import DictLoader, UndefinedError
from lxml import html

from openadr_pages import environment
from openadr_pages.assets import STATIC, Assets
from openadr_pages.headers import SECURITY
from openadr_pages.templating import render

PAGES: dict[str, str] = {}
MADE = environment(DictLoader(PAGES))


def tree_of(template: str, **values: Any) -> Any:
    """The tree of what a template of this text becomes."""
    PAGES[template] = template
    return html.fromstring(f"<div>{render(MADE, template, {'csrf_token': 'the-proof', **values})}</div>")


@pytest.fixture
async def client(aiohttp_client: Any) -> TestClient[web.Request, web.Application]:
    """A client of a server of the files."""
    app = web.Application()
    app.router.add_get("/static/{name}", Assets().handler)
    client: TestClient[web.Request, web.Application] = await aiohttp_client(app)
    return client


async def test_a_file_is_kept_for_ever_under_a_name_with_its_hash(client: TestClient[Any, Any]) -> None:
    """Packed for who takes it packed, and never run as something else."""
    url = Assets().url("style.css")
    assert re.fullmatch(r"static/style\.[0-9a-f]{12}\.css", url)

    answer = await client.get(f"/{url}", headers={"Accept-Encoding": "gzip"}, auto_decompress=False)

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert SECURITY.items() <= dict(answer.headers).items()
    assert gzip.decompress(await answer.read()) == (STATIC / "style.css").read_bytes()
    plain = await client.get(f"/{url}", headers={"Accept-Encoding": "identity"})
    assert await plain.read() == (STATIC / "style.css").read_bytes()


@pytest.mark.parametrize("name", ["style.css", "style.000000000000.css", "..%2F__init__.py", "LICENSE.pico.txt"])
async def test_nothing_else_is_served(client: TestClient[Any, Any], name: str) -> None:
    """Neither a file by its plain name, nor one of another folder."""
    assert (await client.get(f"/static/{name}")).status == 404


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    """A file that changes gets another name, and a folder's own file takes the place of ours."""
    file = tmp_path / "style.css"
    urls = set()
    for content in ("a {}", "b {}"):
        file.write_text(content)
        urls.add(Assets(tmp_path).url("style.css"))

    assert len(urls | {Assets().url("style.css")}) == 3


def test_files_of_others_have_their_licences_and_versions_beside_them() -> None:
    """Every file that is not ours is in the notice, which names a licence that is there."""
    notice = (STATIC / "NOTICE.txt").read_text()
    for name in ("htmx.min.js", "uplot.min.js", "uplot.min.css", "pico.min.css"):
        (line,) = [line for line in notice.splitlines() if line.startswith(name)]
        licence = re.search(r"\((LICENSE\.\w+)\)", line)
        assert licence is not None
        assert (STATIC / f"{licence[1]}.txt").stat().st_size > 300
        assert re.search(r" \d+\.\d+\.\d+ ", line)


def test_nothing_is_loaded_from_elsewhere() -> None:
    """Style sheets and scripts of ours name no other host."""
    for name in ("style.css", "charts.js", "live.js", "icon.svg"):
        text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE), name


def test_what_a_template_does_not_get_is_an_error() -> None:
    """A page with a hole in it would be read as a page without."""
    with pytest.raises(UndefinedError):
        tree_of("{{ missing }}")


def test_an_empty_table_has_columns_and_a_cell_without_value_says_so() -> None:
    """Headings have a scope, the first cell of a row names it."""
    tree = tree_of(
        "{{ ui.table(columns, rows, 'Power') }}",
        columns=[{"label": "VEN", "key": "name"}, {"label": "Power", "key": "kw", "number": True}],
        rows=[{"name": "home <1>", "kw": None}],
    )

    assert tree.xpath("//caption/text()") == ["Power"]
    assert tree.xpath("//thead//th[@scope='col']/text()") == ["VEN", "Power"]
    assert tree.xpath("//tbody//th[@scope='row']/text()") == ["home <1>"]
    assert tree.xpath("//tbody//td[@class='number']/text()") == ["no data"]


def test_a_funnel_shows_shares_of_its_first_step() -> None:
    """And says where a number is not known."""
    tree = tree_of(
        "{{ ui.funnel(steps) }}",
        steps=[{"label": "targeted", "number": 8, "url": "/vens"}, {"label": "delivering", "number": None}],
    )

    assert tree.xpath("//li//a/@href") == ["/vens"]
    assert [each.text_content() for each in tree.xpath("//span[@class='funnel-number']")] == ["8", "no data"]
    assert tree.xpath("//meter/@max") == ["8", "8"]


def test_a_form_carries_the_proof_and_asks_once_more() -> None:
    """Without script: what is closed becomes a form when it is opened."""
    tree = tree_of("{{ ui.confirm_form('/end', 'End', 'End the event now?', fields={'id': 'e1'}) }}")

    assert tree.xpath("//details/form[@method='post']/@action") == ["/end"]
    fields = dict(zip(tree.xpath("//input/@name"), tree.xpath("//input/@value"), strict=True))
    assert fields == {"csrf": "the-proof", "id": "e1"}
    assert tree.xpath("//form//button/text()") == ["End"]


def test_no_macro_writes_a_style_or_a_script_into_the_page() -> None:
    """The policy of every page forbids both."""
    templates = [*(STATIC.parent / "templates").glob("*.html")]
    assert templates
    for template in templates:
        text = template.read_text()
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! defer src=)", text), template.name
