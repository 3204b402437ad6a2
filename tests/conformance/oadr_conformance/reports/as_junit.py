"""A run as JUnit XML, the form that continuous integration servers read."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as ET

from oadr_conformance.results import Outcome, Result, Run

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(run: Run) -> str:
    """Return one suite per area, one case per check."""
    root = ET.Element("testsuites", name=f"oadr conformance, OpenADR {run.profile}", time=f"{run.seconds:.3f}")
    for area, results in groupby(run.results, key=lambda result: result.check.area):
        _suite(root, area, list(results), run)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, area: str, results: list[Result], run: Run) -> None:
    failures = sum(result.outcome is Outcome.FAIL for result in results)
    skipped = sum(result.outcome in {Outcome.SKIP, Outcome.NOT_ASKED} for result in results)
    blocked = sum(result.outcome is Outcome.BLOCKED for result in results)
    suite = ET.SubElement(
        root,
        "testsuite",
        name=area,
        tests=str(len(results)),
        failures=str(failures),
        errors=str(blocked),
        skipped=str(skipped),
        time=f"{sum(result.seconds for result in results):.3f}",
        timestamp=run.started.strftime("%Y-%m-%dT%H:%M:%S"),
        hostname=_clean(run.url),
    )
    for result in results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{area}.{result.check.requirement}",
            name=_clean(result.check.key),
            time=f"{result.seconds:.3f}",
        )
        if result.outcome in {Outcome.FAIL, Outcome.BLOCKED}:
            message = f"expected {result.expected}, got {result.got}"
            tag = "failure" if result.outcome is Outcome.FAIL else "error"
            failure = ET.SubElement(case, tag, message=_clean(message), type=result.check.standing.value)
            failure.text = _clean(f"{result.check.sentence}\n\n{result.request}\n\n{result.response}")
        elif result.outcome is not Outcome.PASS:
            ET.SubElement(case, "skipped", message=_clean(result.why))


def _clean(text: str) -> str:
    """Without the characters that XML cannot carry."""
    return _NO_XML.sub("�", text)
