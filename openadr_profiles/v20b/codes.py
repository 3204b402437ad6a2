"""Application response codes of OpenADR 2.0b."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Name a response code. Peers look at the first digit only: the exact 4xx number is information (R48)."""

    OK = "200"
    OUT_OF_SEQUENCE = "450"
    NOT_ALLOWED = "451"
    INVALID_ID = "452"
    NOT_RECOGNIZED = "453"
    INVALID_DATA = "454"
    COMPLIANCE_ERROR = "459"
    SIGNAL_NOT_SUPPORTED = "460"
    REPORT_NOT_SUPPORTED = "461"
    TARGET_MISMATCH = "462"
    NOT_REGISTERED_OR_AUTHORIZED = "463"
    DEPLOYMENT_ERROR_OR_OTHER_ERROR = "469"


def is_success(code: str) -> bool:
    """Tell whether a peer's code means that it did what was asked: any code that begins with 2 (R48)."""
    return code.startswith("2")
