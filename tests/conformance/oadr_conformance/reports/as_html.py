"""A run as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from oadr_conformance.groups import Cluster, Group, counted, failed, groups_of, reasons, total
from oadr_conformance.registry import area_of
from oadr_conformance.results import Outcome, Result, Run, counts_text

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent);
        --bad: light-dark(#b42318, #ff8a7a); --good: light-dark(#1a7f37, #57c878) }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0 }
dt { opacity: .7 } dd { margin: 0; overflow-wrap: anywhere }
.verdict { font-size: 1.2rem; font-weight: 600; padding: .5rem .8rem; border-radius: .3rem; color: #fff }
.yes { background: #1a7f37 } .partly { background: #8a6100 } .no { background: #b42318 }
.blocked { color: var(--bad) } .asked { opacity: .7 }
.fail { color: var(--bad); font-weight: 600 } .skip { opacity: .7 } .pass { color: var(--good) }
article { border: 1px solid var(--line); border-left: .3rem solid var(--bad); padding: .5rem 1rem; margin: 1rem 0 }
article h3 { margin: 0; font-size: 1rem } .exchange { display: grid; gap: 1rem; grid-template-columns: 1fr 1fr }
section { border-top: 1px solid var(--line); margin-top: .6rem; padding-top: .4rem; overflow-wrap: anywhere }
summary { cursor: pointer } small, .cases { opacity: .8 } .name { white-space: nowrap }
@media (max-width: 50rem) { .exchange { grid-template-columns: 1fr } }
pre { background: color-mix(in srgb, currentColor 6%, transparent); padding: .6rem; overflow: auto; max-height: 24rem;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; margin: .4rem 0 }
"""
_MANY = 1_000_000
_OURS = " <small>(our ruling)</small>"


def html_page(run: Run, *, strict: bool = False) -> str:
    """Product, version, date and total on top; then failures by requirement, skips by reason, and all requirements."""
    product = f"{run.product} {run.version}".strip()
    groups = groups_of(run.results)
    facts = {
        "Product": product,
        "URL": run.url,
        "Profile": f"OpenADR {run.profile}{', strict' if strict else ''}",
        "Switches": ", ".join(run.switches) or "as usual",
        "Date": f"{run.started:%Y-%m-%d %H:%M} UTC",
        "Duration": f"{run.seconds:.1f} s",
        "Requirements": total(groups),
        "Checks": run.total,
    }
    facts |= {f"Of these {standing}": counts_text(counts) for standing, counts in run.totals.items()}
    if run.cut_short:
        facts["Cut short"] = run.cut_short
    wrong = failed(groups)
    skips = reasons(run.results)
    left = [*run.leftovers, *run.warnings]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>Conformance of {escape(product)}</title>',
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
            "<h1>OpenADR conformance</h1>",
            _verdict(run, strict=strict),
            "<dl>" + "".join(f"<dt>{key}<dd>{escape(value)}" for key, value in facts.items()) + "</dl>",
            f"<h2>Failed requirements ({len(wrong)})</h2>" if wrong else "",
            *map(_failure, wrong),
            f"<h2>Not cleaned up</h2><ul>{_items(left)}</ul>" if left else "",
            f"<h2>Areas</h2>{_areas(groups)}",
            f"<h2>Skipped or not asked ({sum(len(results) for _, results in skips)} checks)</h2>{_skips(skips)}"
            if skips
            else "",
            f"<h2>All requirements ({len(groups)})</h2>{_all(groups)}",
            "</html>\n",
        ]
    )


def _verdict(run: Run, *, strict: bool) -> str:
    class_ = "no" if not run.conforms(strict=strict) else "yes" if run.complete() else "partly"
    return f'<p class="verdict {class_}">{escape(run.verdict(strict=strict))}</p>'


def _areas(groups: Iterable[Group]) -> str:
    areas: dict[str, list[Group]] = {}
    for group in groups:
        areas.setdefault(area_of(group.requirement), []).append(group)
    rows = "".join(
        f"<tr><td>{escape(area)}"
        + "".join(_number(sum(group.count(outcome) for group in members)) for outcome in Outcome)
        for area, members in areas.items()
    )
    words = "".join(f'<th class="number">{outcome.word}' for outcome in Outcome)
    return f'<div class="wide"><table><tr><th>Area{words}{rows}</table></div>'


def _number(count: int) -> str:
    return f'<td class="number">{count or ""}'


def _failure(group: Group) -> str:
    return (
        f"<article><h3>{escape(group.requirement)} ({group.standing}): {group.count(Outcome.FAIL)} failed, "
        f"{group.count(Outcome.BLOCKED)} blocked of {counted(len(group.results), 'check')}</h3>"
        f"{''.join(_cluster(cluster) for cluster in group.clusters)}</article>"
    )


def _cluster(cluster: Cluster) -> str:
    result = cluster.example
    cases = cluster.cases(_MANY)
    count = len(cluster.results)
    return (
        f"<section>{escape(result.check.sentence)}<br><small>rests on: "
        f"{escape(result.check.ruling or result.check.section)}</small><br>"
        f"<b>expected</b> {escape(cluster.expected)}, <b>got</b> {escape(cluster.got)}"
        + (f'<div class="cases">{escape(cluster.question)}: {escape(cases)}</div>' if cases else "")
        + f"<details><summary>exchange{f' of the first of {count} cases' if count > 1 else ''}</summary>"
        f'<div class="exchange"><pre>{escape(result.request)}</pre><pre>{escape(result.response)}</pre></div>'
        f"{counted(len(result.exchanges), 'request')} of this check:<ol>{_items(result.exchanges)}</ol>"
        "</details></section>"
    )


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(text)}" for text in texts)


def _skips(found: Sequence[tuple[str, Sequence[Result]]]) -> str:
    rows = ""
    for why, results in found:
        names = dict.fromkeys(result.check.requirement for result in results)
        rows += (
            f'<tr><td class="number">{len(results)}<td>{escape(why)}'
            f"<td><details><summary>{counted(len(names), 'requirement')}</summary>{escape(', '.join(names))}</details>"
        )
    head = '<tr><th class="number">Checks<th>Why<th>Of'
    return f'<div class="wide"><table>{head}{rows}</table></div>'


def _all(groups: Iterable[Group]) -> str:
    rows = ""
    for group in groups:
        checks = "".join(
            f'<li><span class="{one.outcome}">{one.outcome}</span> {escape(one.check.case)}'
            f"{_OURS if one.check.ruling else ''}"
            for one in group.results
        )
        sentences = dict.fromkeys(result.check.sentence for result in group.results)
        rows += (
            f'<tr><td class="name">{escape(group.requirement)}<td>{group.level}'
            f'<td class="{group.outcome}">{group.outcome}'
            f"<td>{'<br>'.join(map(escape, sentences))}"
            f"<details><summary>{counted(len(group.results), 'check')}</summary><ul>{checks}</ul></details>"
        )
    head = "<tr><th>Requirement<th>Level<th>Result<th>Sentence"
    return f'<div class="wide"><table>{head}{rows}</table></div>'
