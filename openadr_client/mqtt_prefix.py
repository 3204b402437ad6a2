"""Topics below a prefix, as several systems that share a broker have them. Pure."""

from __future__ import annotations

from typing import Final

_SHARED: Final = "$share"


class TopicPrefix:
    """Map our topics to those on the broker and back.

    Topics that begin with ``$`` belong to the broker itself (as ``$aws/things/...``) and stay as they are. Of a shared
    subscription ``$share/GROUP/FILTER`` the filter stands below the prefix.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def outer(self, topic: str) -> str:
        """Return the topic or filter as the broker knows it."""
        if not self._prefix:
            return topic
        first, _, rest = topic.partition("/")
        if first == _SHARED:
            group, _, name = rest.partition("/")
            return f"{_SHARED}/{group}/{self.outer(name)}"
        return topic if topic.startswith("$") else self._prefix + topic

    def inner(self, topic: str) -> str:
        """Return the topic of a message as we know it; one that is not below the prefix stays as it is."""
        return topic.removeprefix(self._prefix)
