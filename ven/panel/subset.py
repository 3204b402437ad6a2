"""Choose which circuits to switch, exactly: the choice that no other one beats, found in a few milliseconds.

Sets of amounts are kept as the bits of one integer (bit n: the amount n can be had), so that one shift by a circuit's
amount answers "with it or without it" for all amounts at once. The work grows with the number of circuits times the
largest amount, never with the number of choices. Arithmetic only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rank:
    """Hold the circuits of one importance: what each that is switched gives, and what all others give at most.

    ``switched`` are pairs of amount (1 or more) and name; of several choices that are as good, the one that uses the
    first listed is taken.
    """

    switched: tuple[tuple[int, str], ...]
    adjustable: int


def choose(ranks: Sequence[Rank], least: int, most: int) -> list[str]:
    """Return the names to switch so that all together give from ``least`` to ``most``.

    ``ranks`` begin with the most important. Of all choices that give enough, the first rank gives as little as it can,
    then the second, and so on; within a rank adjustable circuits give before any is switched. If no choice gives from
    ``least`` to ``most``, the largest amount below ``least`` is given.
    """
    best = _largest(ranks, most)
    if best < least:
        least = most = best
    return _least_important(ranks, least, most)


def _largest(ranks: Sequence[Rank], most: int) -> int:
    """Return the largest amount up to ``most`` that the ranks can give."""
    within = (1 << most + 1) - 1
    amounts = 1
    for amount, _ in (each for rank in ranks for each in rank.switched):
        amounts |= amounts << amount & within
    highest = amounts.bit_length() - 1
    return min(highest + sum(rank.adjustable for rank in ranks), most)


def _least_important(ranks: Sequence[Rank], least: int, most: int) -> list[str]:
    """Return the names to switch; some choice must give from ``least`` to ``most``."""
    enough, enough_switched = _enough(ranks, least, most)
    chosen: list[str] = []
    given = 0
    for rank, so_far, by_switching in zip(ranks, enough, enough_switched, strict=True):
        sums = [1]
        for amount, _ in rank.switched:
            sums.append((sums[-1] | sums[-1] << amount) & (1 << most - given + 1) - 1)
        switched = _lowest(sums[-1] & by_switching >> given)
        chosen += _parts(rank, sums, switched)
        given += switched
        given += _lowest(so_far >> given)
    return chosen


def _enough(ranks: Sequence[Rank], least: int, most: int) -> tuple[list[int], list[int]]:
    """Return for each rank which amounts, given up to and with it, the later ranks can complete; and before adjusting.

    Every run of bits is at least ``run`` long, which makes spreading over adjustable amounts cheap.
    """
    run = most - least + 1
    bits = (1 << run) - 1 << least
    enough: list[int] = []
    enough_switched: list[int] = []
    for rank in reversed(ranks):
        enough.append(bits)
        missing = rank.adjustable
        while missing:
            step = min(run, missing)
            bits |= bits >> step
            run, missing = run + step, missing - step
        enough_switched.append(bits)
        for amount, _ in rank.switched:
            bits |= bits >> amount
    return enough[::-1], enough_switched[::-1]


def _parts(rank: Rank, sums: Sequence[int], amount: int) -> list[str]:
    """Return the switched circuits of a rank that give an amount; ``sums`` are those of its first n circuits."""
    parts = []
    for index in range(len(rank.switched), 0, -1):
        if not sums[index - 1] >> amount & 1:
            size, name = rank.switched[index - 1]
            parts.append(name)
            amount -= size
    return parts


def _lowest(bits: int) -> int:
    """Return the place of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1
