"""Every check of 2.0b, in the order of the requirement catalogue."""

from typing import Final

from oadr_conformance.registry import Check
from oadr_conformance.v20b.checks import attack, cre, evt, gen, life, opt, pol, push, reg, rpt, sec, shape, trn

ALL20B: Final[tuple[Check, ...]] = tuple(
    check
    for module in (gen, reg, pol, trn, push, attack, evt, life, shape, cre, opt, rpt, sec)
    for check in module.area.checks
)
