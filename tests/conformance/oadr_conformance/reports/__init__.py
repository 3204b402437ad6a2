"""A run as a terminal table, JSON, JUnit XML, or one HTML page."""

from oadr_conformance.reports.as_html import html_page
from oadr_conformance.reports.as_json import json_text
from oadr_conformance.reports.as_junit import junit_xml
from oadr_conformance.reports.on_terminal import show

__all__ = ["html_page", "json_text", "junit_xml", "show"]
