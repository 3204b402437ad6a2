"""A run as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from oadr_conformance.runner import Outcome, Result, Run

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0 }
dt { opacity: .7 } dd { margin: 0 }
.verdict { font-size: 1.2rem; font-weight: 600; padding: .5rem .8rem; border-radius: .3rem; color: #fff }
.yes { background: #1a7f37 } .no { background: #b42318 }
.fail { color: #b42318; font-weight: 600 } .skip { opacity: .7 } .pass { color: #1a7f37 }
article { border: 1px solid var(--line); border-left: .3rem solid #b42318; padding: .5rem 1rem; margin: 1rem 0 }
article h3 { margin: 0; font-size: 1rem } .exchange { display: grid; gap: 1rem; grid-template-columns: 1fr 1fr }
@media (max-width: 50rem) { .exchange { grid-template-columns: 1fr } }
pre { background: color-mix(in srgb, currentColor 6%, transparent); padding: .6rem; overflow: auto; max-height: 24rem;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; margin: .4rem 0 }
"""


def html_page(run: Run, *, strict: bool = False) -> str:
    """Product, version, date and total on top; then failures with their exchange, skips, and all checks."""
    conforms = run.conforms(strict=strict)
    product = f"{run.product} {run.version}".strip()
    facts = {
        "Product": product,
        "URL": run.url,
        "Profile": f"OpenADR {run.profile}{', strict' if strict else ''}",
        "Date": f"{run.started:%Y-%m-%d %H:%M} UTC",
        "Duration": f"{run.seconds:.1f} s",
        "Total": run.total,
    }
    failures = [result for result in run.results if result.outcome is Outcome.FAIL]
    skips = [result for result in run.results if result.outcome is Outcome.SKIP]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>Conformance of {escape(product)}</title>',
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
            "<h1>OpenADR conformance</h1>",
            f'<p class="verdict {"yes" if conforms else "no"}">{"conforms" if conforms else "does not conform"}</p>',
            "<dl>" + "".join(f"<dt>{key}<dd>{escape(value)}" for key, value in facts.items()) + "</dl>",
            _areas(run),
            f"<h2>Failures ({len(failures)})</h2>" if failures else "",
            *map(_failure, failures),
            f"<h2>Not cleaned up</h2><ul>{_items([*run.leftovers, *run.warnings])}</ul>"
            if run.leftovers or run.warnings
            else "",
            f"<h2>Skipped ({len(skips)})</h2>{_skips(skips)}" if skips else "",
            f"<h2>All checks ({len(run.results)})</h2>{_all(run.results)}",
            "</html>\n",
        ]
    )


def _areas(run: Run) -> str:
    areas: dict[str, list[Outcome]] = {}
    for result in run.results:
        areas.setdefault(result.check.area, []).append(result.outcome)
    rows = "".join(
        f"<tr><td>{escape(area)}" + "".join(f'<td class="number">{outcomes.count(one)}' for one in Outcome)
        for area, outcomes in areas.items()
    )
    headings = "".join(f'<th class="number">{word}' for word in ("passed", "failed", "skipped"))
    return f"<table><tr><th>Area{headings}{rows}</table>"


def _failure(result: Result) -> str:
    check = result.check
    return (
        f"<article><h3>{escape(check.key)} ({check.level})</h3><p>{escape(check.sentence)}<br>"
        f"<small>{escape(check.section)}</small></p>"
        f"<p><b>expected</b> {escape(result.expected)}<br><b>got</b> {escape(result.got)}"
        f"{' <i>(while seeding data)</i>' if result.seeding else ''}</p>"
        f'<div class="exchange"><pre>{escape(result.request)}</pre><pre>{escape(result.response)}</pre></div>'
        f"<details><summary>{len(result.exchanges)} requests of this check</summary>"
        f"<ol>{_items(result.exchanges)}</ol></details>"
        "</article>"
    )


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(text)}" for text in texts)


def _skips(results: Iterable[Result]) -> str:
    rows = "".join(f"<tr><td>{escape(one.check.key)}<td>{escape(one.why)}" for one in results)
    return f"<table><tr><th>Check<th>Why{rows}</table>"


def _all(results: Iterable[Result]) -> str:
    rows = "".join(
        f'<tr><td>{escape(one.check.key)}<td>{one.check.level}<td class="{one.outcome}">{one.outcome}'
        f"<td>{escape(one.check.sentence)}"
        for one in results
    )
    return (
        f"<details><summary>show</summary><table><tr><th>Check<th>Level<th>Result<th>Sentence{rows}</table></details>"
    )
