"""Errors of running a VEN. Each class says what the owner can do; those of talking to a VTN are in `openadr_client`.

VenError(Exception)
├── BadStore           the file of the VEN's memory cannot be used: correct the path or the file
├── BadDriverOptions   the driver does not understand an option: correct the setting
├── BadRule            a rule of one's own cannot be loaded: correct it, or remove its package
├── UnknownDriver      no driver of that name is installed: correct the setting or install it
└── DriverFailed       the driver could not switch or read a circuit: look at the device
"""

from __future__ import annotations


class VenError(Exception):
    """Base of every error of this package."""


class BadStore(VenError):
    """The database file cannot be opened, is not ours, or is from a newer version."""


class BadDriverOptions(VenError):
    """The driver's own options are wrong; the message names each."""


class BadRule(VenError):
    """A rule that an installed package names cannot be loaded; the message names it."""


class UnknownDriver(VenError):
    """The settings name a driver that does not exist."""


class DriverFailed(VenError):
    """A circuit could not be switched or read."""
