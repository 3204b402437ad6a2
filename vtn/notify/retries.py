"""The rules for deliveries that fail: what is tried again, when, and what is given up."""

from __future__ import annotations

import random
from typing import NamedTuple

from vtn.notification_settings import Notify
from vtn.notify.channel import NotDelivered
from vtn.services import Pauses


class Consequence(NamedTuple):
    """Say what follows from a failure.

    ``is_dead``: the delivery is given up. ``goes_on``: the next one is sent at once. Else the endpoint is left alone
    for ``retry_in_s``, or until somebody sets it going again if that is None. ``is_broken``: it is only probed.
    """

    is_dead: bool
    goes_on: bool
    is_broken: bool
    retry_in_s: float | None


class Retries:
    """Judge failures by the settings (WEBHOOK-018 … WEBHOOK-020)."""

    def __init__(self, settings: Notify) -> None:
        self._settings = settings
        self._pauses = Pauses(settings.first_retry_s, settings.longest_retry_s)

    def consequence(self, failure: NotDelivered, failures: int) -> Consequence:
        """Return what follows from a failure, the ``failures``-th one in a row of its endpoint.

        A receiver that cannot be reached has not seen the delivery, so that is no attempt at it: an outage, however
        long, turns nothing into a dead letter.
        """
        settings, delivery = self._settings, failure.delivery
        is_dead = delivery is not None and (failure.final or delivery.attempts + 1 >= settings.max_attempts)
        is_broken = failure.gone or failures >= settings.broken_after
        if failure.gone:
            return Consequence(is_dead, False, True, None)
        if is_broken:
            return Consequence(is_dead, False, True, self._within(failure, settings.probe_s))
        asked = min(failure.retry_after_s or 0.0, settings.longest_retry_s)
        pause = self._within(failure, max(self._pauses.after(failures), asked))
        return Consequence(is_dead, failure.final, False, pause)

    @staticmethod
    def _within(failure: NotDelivered, pause_s: float) -> float:
        """Return a pause, no longer than makes sense; it varies, so that dispatchers do not come back together."""
        longest_s = failure.retry_within_s
        return pause_s if longest_s is None else min(pause_s, longest_s * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
