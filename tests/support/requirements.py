"""Tell which test or check proves which requirement. The script `scripts/requirements` runs this module.

The catalogue is `docs/requirements/`. A test proves a line by naming its ID in its docstring or in that of its class, a
test module by naming it in that of the module; a conformance check carries the IDs it speaks for.
"""

from __future__ import annotations

import argparse
import ast
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from oadr_conformance import ALL, ALL_301, Check
from oadr_conformance.registry import area_of
from oadr_conformance.v20b.checks import ALL20B

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "docs" / "requirements"

# The areas whose every MUST needs a test, and those whose every observable MUST needs a conformance check.
NAMED = (
    "GEN",
    "MATRIX",
    "AUTH",
    "TOKEN",
    "PROBLEM",
    "PAGE",
    "OBJ",
    "PROG",
    "EVT",
    "REPORT",
    "VEN",
    "RES",
    "PRIV",
    "SUBS",
    "WEBHOOK",
    "MQTT",
    "TIME",
    "ENUM",
    "MDNS",
    "TLS",
    "COMP",
    "ETAG",
    "V301",
    "B-GEN",
    "B-REG",
    "B-POL",
    "B-TRN",
    "B-EVT",
    "B-CRE",
    "B-OPT",
    "B-RPT",
    "B-SEC",
)
CHECKED = tuple(area for area in NAMED if area not in {"ENUM", "MDNS", "TLS"})
CHECKS = (*ALL, *ALL_301, *ALL20B)

_LINE = re.compile(
    r"^(?:- |\| )\*\*(?P<id>(?:B-)?[A-Z0-9]+(?:-EX)?-\d+)\*\* (?:(?P<level>MUST|SHOULD|MAY) - |\| )(?P<text>.*)$"
)
_ROW = re.compile(r"^\| (?P<id>(?:B-)?[A-Z0-9]+(?:-EX)?-\d+) \| (?P<why>.*?) \|$")
_ID = r"(?<![A-Z0-9-])(?:B-)?[A-Z][A-Z0-9]*(?:-EX)?-\d+"
_RANGE = re.compile(rf"(?P<first>{_ID})(?: ?(?:\.\.\.?|…|to|–) ?(?P<last>(?:(?:B-)?[A-Z][A-Z0-9]*(?:-EX)?-)?\d+)\b)?")


@dataclass(frozen=True)
class Requirement:
    """One line of the catalogue."""

    id: str
    level: str
    text: str
    page: str

    @property
    def area(self) -> str:
        """`PAGE` for PAGE-008, `B-EVT` for B-EVT-001."""
        return area_of(self.id)


def catalogue() -> dict[str, Requirement]:
    """Every line of the catalogue, in its order; rows of worked examples count as MUST."""
    found = {}
    for page in sorted(CATALOGUE.glob("*.md")):
        if page.name in {"exceptions.md", "unobservable.md"}:
            continue
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := _LINE.match(line):
                found[match["id"]] = Requirement(match["id"], match["level"] or "MUST", match["text"], page.name)
    return found


def listed(page: str) -> dict[str, str]:
    """ID -> reason, from the table of a page."""
    lines = (CATALOGUE / page).read_text(encoding="utf-8").splitlines()
    return {match["id"]: match["why"] for line in lines if (match := _ROW.match(line))}


def named_in(text: str) -> Iterator[str]:
    """The IDs a text names; `TIME-010 … TIME-014` and `TIME-010..014` name all between them."""
    for match in _RANGE.finditer(text):
        first, last = match["first"], match["last"]
        yield first
        if last:
            area, _, number = first.rpartition("-")
            for between in range(int(number) + 1, int(last.rpartition("-")[2]) + 1):
                yield f"{area}-{between:0{len(number)}}"


def tests() -> dict[str, list[str]]:
    """ID -> the tests, and modules of tests, that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [(str(path.relative_to(ROOT)), ast.get_docstring(tree) or "")]
        texts += [(f"{texts[0][0]}::{name}", text) for name, text in _tests_of(tree, "")]
        for name, text in texts:
            for requirement in set(named_in(text)):
                found.setdefault(requirement, []).append(name)
    return found


def _tests_of(node: ast.AST, above: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            for name, text in _tests_of(child, f"{above}\n{ast.get_docstring(child) or ''}"):
                yield f"{child.name}::{name}", text
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child.name.startswith("test_"):
            yield child.name, f"{above}\n{ast.get_docstring(child) or ''}"


def checks_of(checks: Iterable[Check]) -> dict[str, list[str]]:
    """ID -> the conformance checks that speak for it; cases of one question count as one."""
    found: dict[str, dict[str, None]] = {}
    for check in checks:
        for requirement in check.requirements:
            found.setdefault(requirement, {})[f"check {check.key.partition(': ')[0]}"] = None
    return {requirement: list(names) for requirement, names in found.items()}


@dataclass(frozen=True)
class Coverage:
    """Hold how much of what a client can see the suite asks for."""

    covered: frozenset[str]
    missing: frozenset[str]
    unobservable: Mapping[str, str]

    def text(self) -> str:
        """The figures, what is missing, and what cannot be seen from outside."""
        figures = (
            f"{len(self.covered)} of {len(self.covered) + len(self.missing)} observable MUST lines have a check; "
            f"{len(self.unobservable)} MUST lines cannot be seen from outside:"
        )
        lines = [figures]
        lines += [f"  {requirement}: {why}" for requirement, why in self.unobservable.items()]
        if self.missing:
            lines.append(f"without a check: {', '.join(sorted(self.missing))}")
        return "\n".join(lines)


def coverage(checks: Iterable[Check]) -> Coverage:
    """Return what the given checks cover of the MUST lines that a client can see."""
    unobservable = listed("unobservable.md")
    musts = {line.id for line in catalogue().values() if line.level == "MUST" and line.area in CHECKED}
    covered = frozenset(checks_of(checks)) & musts
    missing = musts - covered - unobservable.keys()
    left = {requirement: why for requirement, why in unobservable.items() if requirement in musts - covered}
    return Coverage(covered, frozenset(missing), left)


def main() -> int:
    """Print the table; 1 if a MUST of the named areas has neither test nor reason."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no reason for a traceback
    parser = argparse.ArgumentParser(prog="scripts/requirements", description=__doc__)
    parser.add_argument("--area", action="append", help="these areas only; repeatable")
    parser.add_argument("--missing", action="store_true", help="print only lines that nothing proves")
    options = parser.parse_args()
    lines, reasons = catalogue(), listed("exceptions.md")
    proofs = checks_of(CHECKS)
    for requirement, names in tests().items():
        proofs.setdefault(requirement, []).extend(names)
    unproved = []
    for line in lines.values():
        if options.area and line.area not in options.area:
            continue
        names = proofs.get(line.id, [])
        needed = line.level == "MUST" and line.area in NAMED
        if not names and needed and line.id not in reasons:
            unproved.append(line)
        if not options.missing:
            _print(line, names, reasons.get(line.id, ""))
    for line in unproved:
        sys.stderr.write(f"no test: {line.id} {line.text[:150]} ({line.page})" + "\n")
    for stray in sorted((reasons.keys() | listed("unobservable.md").keys()) - lines.keys()):
        sys.stderr.write(f"no such requirement: {stray}" + "\n")
        unproved.append(Requirement(stray, "MUST", "", ""))
    for needless in sorted(requirement for requirement in reasons if proofs.get(requirement)):
        sys.stderr.write(f"has a test, needs no exception: {needless}" + "\n")
    musts = [line for line in lines.values() if line.level == "MUST" and line.area in NAMED]
    tested = sum(bool(proofs.get(line.id)) for line in musts)
    sys.stderr.write(f"{tested} of {len(musts)} MUST lines are proved, {len(reasons)} are listed with a reason" + "\n")
    sys.stderr.write(coverage(CHECKS).text().partition("\n")[0].removesuffix(":") + "\n")
    return 1 if unproved else 0


def _print(line: Requirement, names: list[str], why: str) -> None:
    shown = [*names[:3], *([f"and {len(names) - 3} more"] if len(names) > 3 else [])]
    sys.stdout.write(f"{line.id:14} {line.level:6} {'; '.join(shown) or (f'- ({why})' if why else '-')}\n")


if __name__ == "__main__":
    sys.exit(main())
