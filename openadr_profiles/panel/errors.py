"""What can be wrong with something we are about to say to a panel.

PanelContractError(ValueError)
├── UnsafePanelId     an id that could not be a topic level of its own (rule C11)
└── UnsendableCommand an amount, a length or an id that a panel would misread (rules C2, C10)

Messages *from* panels never raise: a reader answers with what it could read, or with Unreadable.
"""

from __future__ import annotations


class PanelContractError(ValueError):
    """Base of the errors of this package."""


class UnsafePanelId(PanelContractError):
    """The text cannot be a panel id."""


class UnsendableCommand(PanelContractError):
    """The command would not mean to the panel what it means to us."""
