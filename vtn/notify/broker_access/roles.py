"""Name the roles of Mosquitto's dynamic security below one prefix of topics, and say which account has which."""

from __future__ import annotations

from collections.abc import Sequence

from vtn.notify.broker_access import rights
from vtn.notify.broker_access.dynamic_security import Command, role
from vtn.notify.topics import of_one_ven


class Roles:
    """The roles of one VTN. Other VTNs at the same broker have other prefixes, and operators have other names."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.beginning = f"openadr[{prefix}]"
        """The beginning of the names of all of them."""
        self.vens = f"{self.beginning}vens"
        self.business_logic = f"{self.beginning}business-logic"
        self.vtn = f"{self.beginning}vtn"

    @property
    def shared(self) -> tuple[Command, ...]:
        """Return the commands that make the roles that are not those of one ven (MQTT-016, MQTT-017)."""
        return (
            role(self.vens, rights.of_ven(self._prefix, None), denies_others=True),
            role(self.business_logic, rights.of_business_logic(self._prefix), denies_others=True),
            role(self.vtn, rights.of_this_server(self._prefix), denies_others=True),
        )

    def name_of_ven(self, ven_id: str) -> str:
        """Return the name of the role of one ven."""
        return f"{self.beginning}ven-{ven_id}"

    def of_ven(self, ven_id: str) -> Command:
        """Return the command that makes the role of one ven: its own topics, and nothing denied."""
        own = rights.Rights(reads=(of_one_ven(self._prefix, ven_id),))
        return role(self.name_of_ven(ven_id), own, denies_others=False)

    def held(self, ven_id: str | None) -> Sequence[str]:
        """Return the roles of an account: of a ven, or of business logic."""
        return (self.business_logic,) if ven_id is None else (self.name_of_ven(ven_id), self.vens)
