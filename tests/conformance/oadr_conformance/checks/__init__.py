"""Every check, in the order of the requirement catalogue."""

from typing import Final

from oadr_conformance.checks import (
    auth,
    compat,
    delivery,
    etag,
    event,
    firing,
    gen,
    matrix,
    mqtt,
    notifiers,
    obj,
    page,
    priv,
    problem,
    program,
    report,
    resource,
    subs,
    time,
    token,
    ven,
    webhook,
)
from oadr_conformance.checks.of_301 import all_301
from oadr_conformance.registry import Check

ALL: Final[tuple[Check, ...]] = tuple(
    check
    for module in (
        gen,
        matrix,
        auth,
        token,
        problem,
        page,
        obj,
        program,
        event,
        report,
        ven,
        resource,
        priv,
        subs,
        firing,
        webhook,
        delivery,
        notifiers,
        mqtt,
        time,
        etag,
        compat,
    )
    for check in module.area.checks
)

ALL_301: Final[tuple[Check, ...]] = all_301(ALL)
"""Those of OpenADR 3.0.1."""
