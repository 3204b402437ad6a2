"""Errors in a command that is about to be sent to a panel.

PanelContractError(ValueError)
├── UnsafePanelId     an id that could not be a topic level of its own (rule C11)
└── UnsendableCommand an amount, a length or an id that a panel would misread (rules C2, C10)

Messages *from* panels never raise: a reader returns what it could read, or Unreadable.
"""

from __future__ import annotations


class PanelContractError(ValueError):
    """Base of the errors of this package."""


class UnsafePanelId(PanelContractError):
    """The text cannot be a panel id."""


class UnsendableCommand(PanelContractError):
    """The panel would misread the command."""
