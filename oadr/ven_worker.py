"""One process of ``oadr ven fleet``; only that starts it: ``python -m oadr.ven_worker LEVEL``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oadr.process.worker import work

if TYPE_CHECKING:
    from ven.fleet import VenFleet


def _fleet(job: dict[str, Any]) -> VenFleet:
    from openadr_client import SystemClock
    from ven.fleet import VenFleet
    from ven.settings import VenSettings

    homes = [VenSettings.model_validate(each) for each in job["homes"]]
    return VenFleet(homes, delays_s=job["delays_s"], clock=SystemClock())


if __name__ == "__main__":
    work(_fleet)
