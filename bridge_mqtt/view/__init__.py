"""The state of the bridge as plain values for its HTTP interface and its commands; nothing here changes anything."""

from bridge_mqtt.view.events import EventView
from bridge_mqtt.view.figures import FigureView
from bridge_mqtt.view.history import HistoryView
from bridge_mqtt.view.panels import PanelView
from bridge_mqtt.view.records import RecordView
from bridge_mqtt.view.sources import Sources
from bridge_mqtt.view.stats import StatsView


class View:
    """All views of one bridge."""

    def __init__(self, sources: Sources, *, baseline_s: float) -> None:
        self.panels = PanelView(sources)
        self.events = EventView(sources)
        self.records = RecordView(sources)
        self.history = HistoryView(sources)
        self.figures = FigureView(sources, self.events, baseline_s=baseline_s)
        self.stats = StatsView(sources)


__all__ = ["EventView", "FigureView", "HistoryView", "PanelView", "RecordView", "Sources", "StatsView", "View"]
