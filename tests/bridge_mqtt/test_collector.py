"""The garbage collector: it waits for a quiet moment, and not for ever."""

import asyncio
import gc
import weakref

import pytest

from bridge_mqtt.collector import collect_when_quiet


class Ring:
    """A cycle, which only the collector takes away."""

    def __init__(self) -> None:
        self.self = self


@pytest.mark.parametrize("is_ever_quiet", [True, False])
async def test_garbage_is_collected_when_nothing_has_to_happen_soon_or_it_has_waited_for_long(
    *, is_ever_quiet: bool
) -> None:
    """The longest stall of the loop: nothing is looked for while panels hold a shed, unless that never ends."""
    ring = Ring()
    gone = weakref.ref(ring)
    gc.collect()  # it is old now
    del ring
    waited_s = 0.0
    collected = asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal waited_s
        if gone() is None:
            collected.set()
            await asyncio.Event().wait()
        waited_s += seconds
        await asyncio.sleep(0)

    def is_quiet() -> bool:
        assert gone() is not None, "not before it was quiet"
        return is_ever_quiet and waited_s > 7 * 3600

    collecting = asyncio.create_task(collect_when_quiet(is_quiet, sleep))
    await collected.wait()
    collecting.cancel()
    assert waited_s == pytest.approx(7 * 3600 if is_ever_quiet else 12 * 3600, abs=60)
