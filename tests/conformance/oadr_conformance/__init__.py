"""Black-box conformance checks for any VTN of OpenADR 3.1 or 3.0.1.

Speaks HTTP to a base URL, and MQTT to the broker that a VTN announces; it imports no part of a server. Users go through
the command `oadr conformance`; from Python:

    subject = Subject("https://vtn.example/openadr3/3.1.0", bl=..., ven=..., ven2=...)
    result = await run(subject, ALL)
    print(result.total)
"""

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.checks import ALL, ALL_301
from oadr_conformance.errors import ConformanceError, Misused, Refused, Unreachable
from oadr_conformance.profile import PROFILES, SWITCHES, Profile, profile_of
from oadr_conformance.registry import Check, Level, Standing, select
from oadr_conformance.runner import INTERRUPTED, Outcome, Result, Run, judge, opened, run
from oadr_conformance.session import Credential, Subject

__all__ = [
    "ALL",
    "ALL_301",
    "INTERRUPTED",
    "PROFILES",
    "SWITCHES",
    "Check",
    "ConformanceError",
    "Credential",
    "Level",
    "Misused",
    "Outcome",
    "Profile",
    "ReceiverAddress",
    "Refused",
    "Result",
    "Run",
    "Standing",
    "Subject",
    "Unreachable",
    "judge",
    "opened",
    "profile_of",
    "run",
    "select",
]
