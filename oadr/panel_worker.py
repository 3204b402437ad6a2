"""One process of ``oadr bridge simulate``; only that starts it: ``python -m oadr.panel_worker LEVEL``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oadr.process.worker import work

if TYPE_CHECKING:
    from bridge_mqtt.simulators.fleet import PanelFleet


def _fleet(job: dict[str, Any]) -> PanelFleet:
    from bridge_mqtt.settings import Broker
    from bridge_mqtt.simulators.fleet import PanelFleet, PanelPlan
    from openadr_client import SystemClock

    return PanelFleet(
        [PanelPlan(**each) for each in job["panels"]],
        Broker.model_validate(job["broker"]),
        interval_s=job["interval_s"],
        everything=job["everything"],
        clock=SystemClock(),
    )


if __name__ == "__main__":
    work(_fleet)
